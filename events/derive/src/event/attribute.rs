//! What `#[event(..)]` says.

use proc_macro2::TokenStream;
use quote::quote;
use syn::{
    DeriveInput, Ident, LitInt, LitStr, Path, Token, ext::IdentExt, meta::ParseNestedMeta,
    punctuated::Punctuated,
};

/// How it is written.
const EXAMPLE: &str = "write `#[event(name = \"order:placed\", version = 1)]`";

/// What `#[event(..)]` says, checked as far as it can be without the fields.
pub(super) struct Attribute {
    pub(super) name: LitStr,
    pub(super) version: LitInt,
    pub(super) scope: Vec<Ident>,
    pub(super) layers: Vec<Path>,
    /// The path of a variant of `Level`.
    pub(super) level: TokenStream,
    /// The path of a variant of `Call`.
    pub(super) call: TokenStream,
    pub(super) audience: Option<Vec<Ident>>,
    pub(super) ordering_key: Option<Ident>,
    pub(super) is_reserved: bool,
}

/// The same while it is being read.
#[derive(Default)]
struct Parts {
    name: Option<LitStr>,
    version: Option<LitInt>,
    scope: Option<Vec<Ident>>,
    layers: Option<Vec<Path>>,
    level: Option<TokenStream>,
    call: Option<TokenStream>,
    audience: Option<Vec<Ident>>,
    ordering_key: Option<Ident>,
    reserved: Option<()>,
}

impl Attribute {
    pub(super) fn parse(input: &DeriveInput) -> syn::Result<Self> {
        let mut parts = Parts::default();
        for attr in input.attrs.iter().filter(|attr| attr.path().is_ident("event")) {
            attr.parse_nested_meta(|meta| parts.read(&meta))?;
        }
        let missing =
            |what| syn::Error::new(input.ident.span(), format!("an event has a {what}: {EXAMPLE}"));
        Ok(Self {
            name: parts.name.ok_or_else(|| missing("name"))?,
            version: parts.version.ok_or_else(|| missing("version"))?,
            scope: parts.scope.unwrap_or_default(),
            layers: parts.layers.unwrap_or_default(),
            level: parts.level.unwrap_or_else(|| quote!(Basic)),
            call: parts.call.unwrap_or_else(|| quote!(Track)),
            audience: parts.audience,
            ordering_key: parts.ordering_key,
            is_reserved: parts.reserved.is_some(),
        })
    }
}

impl Parts {
    fn read(&mut self, meta: &ParseNestedMeta<'_>) -> syn::Result<()> {
        let key = meta.path.get_ident().map(ToString::to_string).unwrap_or_default();
        match key.as_str() {
            "name" => once(meta, &mut self.name, |meta| meta.value()?.parse()),
            "version" => once(meta, &mut self.version, version),
            "scope" => once(meta, &mut self.scope, scope),
            "layers" => once(meta, &mut self.layers, layers),
            "level" => once(meta, &mut self.level, level),
            "call" => once(meta, &mut self.call, call),
            "audience" => once(meta, &mut self.audience, audience),
            "ordering_key" => {
                once(meta, &mut self.ordering_key, |meta| meta.value()?.call(Ident::parse_any))
            }
            "reserved" => once(meta, &mut self.reserved, |_| Ok(())),
            _ => Err(meta.error(format!(
                "`{key}` is not known here: an event has `name`, `version`, `scope(..)`, `layers(..)`, \
                 `level`, `call`, `audience(..)` and `ordering_key`"
            ))),
        }
    }
}

fn once<T>(
    meta: &ParseNestedMeta<'_>,
    slot: &mut Option<T>,
    read: impl FnOnce(&ParseNestedMeta<'_>) -> syn::Result<T>,
) -> syn::Result<()> {
    match slot.replace(read(meta)?) {
        None => Ok(()),
        Some(_) => Err(meta.error("this attribute is there twice")),
    }
}

fn version(meta: &ParseNestedMeta<'_>) -> syn::Result<LitInt> {
    let literal: LitInt = meta.value()?.parse()?;
    match literal.base10_parse::<i16>() {
        Ok(1..) => Ok(literal),
        _ => Err(syn::Error::new(literal.span(), "a version is a number from 1 to 32767")),
    }
}

fn scope(meta: &ParseNestedMeta<'_>) -> syn::Result<Vec<Ident>> {
    let fields = list(meta, Ident::parse_any)?;
    if let Some(ninth) = fields.get(8) {
        return Err(syn::Error::new(ninth.span(), "a scope has at most 8 elements"));
    }
    match repeated(&fields) {
        Some(field) => {
            Err(syn::Error::new(field.span(), format!("the field `{field}` is in the scope twice")))
        }
        None => Ok(fields),
    }
}

fn layers(meta: &ParseNestedMeta<'_>) -> syn::Result<Vec<Path>> {
    let layers = list(meta, Path::parse_mod_style)?;
    let idents: Vec<_> =
        layers.iter().filter_map(|path| Some(path.segments.last()?.ident.clone())).collect();
    match repeated(&idents) {
        Some(layer) => Err(syn::Error::new(
            layer.span(),
            format!("`{layer}` is there twice, and a layer cannot contain itself"),
        )),
        None => Ok(layers),
    }
}

fn level(meta: &ParseNestedMeta<'_>) -> syn::Result<TokenStream> {
    let literal: LitStr = meta.value()?.parse()?;
    let message = match literal.value().as_str() {
        "security" => return Ok(quote!(Security)),
        "basic" => return Ok(quote!(Basic)),
        "enhanced" => return Ok(quote!(Enhanced)),
        "full" => return Ok(quote!(Full)),
        "off" => {
            "at the level `off` nothing is collected, so no event can ask for it: write `security`, `basic`, \
             `enhanced` or `full`, or leave `telemetry` out of the audience"
        }
        _ => "this is not a level: write `security`, `basic`, `enhanced` or `full`",
    };
    Err(syn::Error::new(literal.span(), message))
}

fn call(meta: &ParseNestedMeta<'_>) -> syn::Result<TokenStream> {
    let literal: LitStr = meta.value()?.parse()?;
    match literal.value().as_str() {
        "track" => Ok(quote!(Track)),
        "identify" => Ok(quote!(Identify)),
        "group" => Ok(quote!(Group)),
        "page" => Ok(quote!(Page)),
        "screen" => Ok(quote!(Screen)),
        "alias" => Ok(quote!(Alias)),
        _ => Err(syn::Error::new(
            literal.span(),
            "analytics know no such call: write `track`, `identify`, `group`, `page`, `screen` or `alias`",
        )),
    }
}

fn audience(meta: &ParseNestedMeta<'_>) -> syn::Result<Vec<Ident>> {
    let audience = list(meta, Ident::parse_any)?;
    let is_known = |ident: &&Ident| {
        let ident = ident.to_string();
        matches!(ident.as_str(), "notification" | "telemetry" | "client")
    };
    if let Some(unknown) = audience.iter().find(|ident| !is_known(ident)) {
        let message = format!(
            "`{unknown}` is not an audience: write `notification`, `telemetry` or `client`"
        );
        return Err(syn::Error::new(unknown.span(), message));
    }
    if let Some(twice) = repeated(&audience) {
        return Err(syn::Error::new(twice.span(), format!("`{twice}` is there twice")));
    }
    if audience.is_empty() {
        return Err(
            meta.error("an event without an audience is never seen: leave the attribute away")
        );
    }
    Ok(audience)
}

fn list<T>(
    meta: &ParseNestedMeta<'_>,
    parse: fn(syn::parse::ParseStream<'_>) -> syn::Result<T>,
) -> syn::Result<Vec<T>> {
    let content;
    syn::parenthesized!(content in meta.input);
    let items = Punctuated::<T, Token![,]>::parse_terminated_with(&content, parse)?;
    Ok(items.into_iter().collect())
}

fn repeated(idents: &[Ident]) -> Option<&Ident> {
    idents
        .iter()
        .enumerate()
        .find(|(at, ident)| idents.iter().take(*at).any(|other| other == *ident))
        .map(|(_, ident)| ident)
}
