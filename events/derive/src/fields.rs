//! The fields of a struct, as serde and schemars will write them.
//!
//! Collisions of names are found at compile time, so every name has to be known here.
//! An attribute that renames or skips is honoured; one that changes the shape is refused with a reason, because a view
//! that is silently wrong is worse than none.

use proc_macro2::{Span, TokenTree};
use syn::{
    Attribute, Data, DeriveInput, Fields, Generics, Ident, LitStr, Token, Type, ext::IdentExt,
    meta::ParseNestedMeta, spanned::Spanned, token::Paren,
};

use crate::case::Case;

/// A named field.
pub(crate) struct Field<'a> {
    pub(crate) ident: &'a Ident,
    pub(crate) ty: &'a Type,
    pub(crate) attrs: &'a [Attribute],
    /// The name in JSON.
    pub(crate) name: String,
    /// Whether the name was given to this very field.
    pub(crate) is_renamed: bool,
    /// Whether serde writes the field at all.
    pub(crate) is_shown: bool,
    /// Where serde is told to write the fields of the field in its place.
    pub(crate) flatten: Option<Span>,
}

/// Returns the named fields of the struct `input`, which is an `article` for the reader.
pub(crate) fn named<'a>(input: &'a DeriveInput, article: &str) -> syn::Result<Vec<Field<'a>>> {
    let ident = &input.ident;
    let Data::Struct(data) = &input.data else {
        let message = format!("{article} is a struct with named fields, and `{ident}` is none");
        return Err(syn::Error::new(ident.span(), message));
    };
    let Fields::Named(fields) = &data.fields else {
        let message = format!(
            "{article} is a struct with named fields: write `struct {ident} {{ .. }}`, \
             with empty braces if it has no data"
        );
        return Err(syn::Error::new(ident.span(), message));
    };
    let rename_all = container(&input.attrs)?;
    let fields = fields.named.iter().filter_map(|field| Some((field.ident.as_ref()?, field)));
    let fields = fields.map(|(ident, field)| {
        let FieldNames { rename, is_shown, flatten } = field_names(&field.attrs)?;
        let plain = ident.unraw().to_string();
        let is_renamed = rename.is_some();
        let name = rename
            .unwrap_or_else(|| rename_all.map_or(plain.clone(), |case| case.of_field(&plain)));
        let syn::Field { ty, attrs, .. } = field;
        Ok(Field { ident, ty, attrs, name, is_renamed, is_shown, flatten })
    });
    let fields = fields.collect::<syn::Result<Vec<_>>>()?;
    for (at, field) in fields.iter().enumerate() {
        let is_same = |other: &Field<'_>| other.flatten.is_none() && other.name == field.name;
        if field.flatten.is_none() && fields.iter().take(at).any(is_same) {
            let message = format!("two fields have the name `{}` in JSON", field.name);
            return Err(syn::Error::new(field.ident.span(), message));
        }
    }
    Ok(fields)
}

/// Refuses type parameters and, unless `lifetimes` are welcome, those too.
pub(crate) fn check_generics(generics: &Generics, lifetimes: bool, why: &str) -> syn::Result<()> {
    let is_welcome =
        |param: &syn::GenericParam| lifetimes && matches!(param, syn::GenericParam::Lifetime(_));
    match generics.params.iter().find(|param| !is_welcome(param)) {
        Some(param) => Err(syn::Error::new(param.span(), why)),
        None => Ok(()),
    }
}

/// Returns a span that points where `node` stands, and whose names mean what they mean in the derive.
///
/// A node that came out of a macro of the user has other ideas of what `self` is.
pub(crate) fn at(node: &impl Spanned) -> Span {
    Span::call_site().located_at(node.span())
}

/// Returns whether `ty` is written as an `Option`.
pub(crate) fn is_option(ty: &Type) -> bool {
    last_ident(ty).is_some_and(|ident| ident == "Option")
}

/// Returns the last segment of the path of `ty`, behind references and boxes.
pub(crate) fn base_ident(ty: &Type) -> Option<&Ident> {
    match ty {
        Type::Reference(reference) => base_ident(&reference.elem),
        Type::Paren(paren) => base_ident(&paren.elem),
        Type::Group(group) => base_ident(&group.elem),
        Type::Path(path) => {
            let last = path.path.segments.last()?;
            match &last.arguments {
                syn::PathArguments::AngleBracketed(arguments)
                    if last.ident == "Box" || last.ident == "Arc" =>
                {
                    arguments.args.iter().find_map(|argument| match argument {
                        syn::GenericArgument::Type(ty) => base_ident(ty),
                        _ => None,
                    })
                }
                _ => Some(&last.ident),
            }
        }
        _ => None,
    }
}

fn last_ident(ty: &Type) -> Option<&Ident> {
    match ty {
        Type::Path(path) => Some(&path.path.segments.last()?.ident),
        Type::Paren(paren) => last_ident(&paren.elem),
        Type::Group(group) => last_ident(&group.elem),
        _ => None,
    }
}

/// Reads what serde and schemars say of a struct: the case of its fields.
fn container(attrs: &[Attribute]) -> syn::Result<Option<Case>> {
    refuse_schemars(attrs)?;
    let mut rename_all = None;
    for_each_serde(attrs, |key, meta| {
        match key {
            "rename_all" => {
                rename_all = serialized(meta)?.map(|literal| Case::parse(&literal)).transpose()?;
            }
            "rename"
            | "deny_unknown_fields"
            | "default"
            | "bound"
            | "crate"
            | "from"
            | "try_from"
            | "expecting" => skip_value(meta)?,
            "transparent" | "tag" | "content" | "untagged" | "into" | "remote" => {
                return Err(meta.error(format!(
                    "`#[serde({key})]` changes the shape of the JSON, and views are composed of plain \
                     structs: leave it away"
                )));
            }
            _ => return Err(unknown_serde(meta, key)),
        }
        Ok(())
    })?;
    Ok(rename_all)
}

/// What serde says of a field.
struct FieldNames {
    rename: Option<String>,
    is_shown: bool,
    flatten: Option<Span>,
}

fn field_names(attrs: &[Attribute]) -> syn::Result<FieldNames> {
    refuse_schemars(attrs)?;
    let mut names = FieldNames { rename: None, is_shown: true, flatten: None };
    for_each_serde(attrs, |key, meta| {
        match key {
            "rename" => names.rename = serialized(meta)?.map(|literal| literal.value()),
            "skip" | "skip_serializing" => names.is_shown = false,
            "skip_serializing_if"
            | "skip_deserializing"
            | "default"
            | "alias"
            | "with"
            | "serialize_with"
            | "deserialize_with"
            | "bound"
            | "borrow" => skip_value(meta)?,
            "flatten" => names.flatten = Some(meta.path.span()),
            _ => return Err(unknown_serde(meta, key)),
        }
        Ok(())
    })?;
    Ok(names)
}

/// What serde says of the name of a variant or a field; all else is serde's business.
#[derive(Default)]
pub(crate) struct Naming {
    pub(crate) rename: Option<String>,
    pub(crate) rename_all: Option<Case>,
    pub(crate) rename_all_fields: Option<Case>,
    pub(crate) is_skipped: bool,
}

impl Naming {
    /// Reads the attributes of a type, a variant or a field.
    pub(crate) fn parse(attrs: &[Attribute]) -> syn::Result<Self> {
        let mut naming = Self::default();
        let case = |meta: &ParseNestedMeta<'_>| {
            serialized(meta)?.map(|literal| Case::parse(&literal)).transpose()
        };
        for_each_serde(attrs, |key, meta| {
            match key {
                "rename" => naming.rename = serialized(meta)?.map(|literal| literal.value()),
                "rename_all" => naming.rename_all = case(meta)?,
                "rename_all_fields" => naming.rename_all_fields = case(meta)?,
                "skip" | "skip_serializing" => naming.is_skipped = true,
                _ => skip_value(meta)?,
            }
            Ok(())
        })?;
        Ok(naming)
    }
}

fn for_each_serde(
    attrs: &[Attribute],
    mut read: impl FnMut(&str, &ParseNestedMeta<'_>) -> syn::Result<()>,
) -> syn::Result<()> {
    for attr in attrs.iter().filter(|attr| attr.path().is_ident("serde")) {
        attr.parse_nested_meta(|meta| {
            let key = meta.path.get_ident().map(ToString::to_string).unwrap_or_default();
            read(&key, &meta)
        })?;
    }
    Ok(())
}

/// Reads `= "name"` or `(serialize = "name", ..)`; `None` is a name for deserializing only.
fn serialized(meta: &ParseNestedMeta<'_>) -> syn::Result<Option<LitStr>> {
    if meta.input.peek(Token![=]) {
        return meta.value()?.parse().map(Some);
    }
    let mut name = None;
    meta.parse_nested_meta(|inner| {
        let value: LitStr = inner.value()?.parse()?;
        if inner.path.is_ident("serialize") {
            name = Some(value);
        }
        Ok(())
    })?;
    Ok(name)
}

/// Reads past `= value` or `(..)`, if there is one.
fn skip_value(meta: &ParseNestedMeta<'_>) -> syn::Result<()> {
    if meta.input.peek(Token![=]) {
        meta.value()?.parse::<syn::Expr>()?;
    } else if meta.input.peek(Paren) {
        let content;
        syn::parenthesized!(content in meta.input);
        content.parse::<proc_macro2::TokenStream>()?;
    }
    Ok(())
}

fn unknown_serde(meta: &ParseNestedMeta<'_>, key: &str) -> syn::Error {
    meta.error(format!(
        "`#[serde({key})]` is not known to Tidings, which cannot tell what it does to the views: leave it away"
    ))
}

/// Refuses what would make the schema differ from what is written.
fn refuse_schemars(attrs: &[Attribute]) -> syn::Result<()> {
    for attr in attrs.iter().filter(|attr| attr.path().is_ident("schemars")) {
        let Ok(list) = attr.meta.require_list() else { continue };
        if let Some((key, span)) = first_that_differs(list.tokens.clone()) {
            let message = format!(
                "`#[schemars({key})]` would make the schema differ from what is written: say it with \
                 `#[serde({key})]`, which both obey"
            );
            return Err(syn::Error::new(span, message));
        }
    }
    Ok(())
}

fn first_that_differs(tokens: proc_macro2::TokenStream) -> Option<(String, Span)> {
    const DIFFERS: [&str; 9] = [
        "rename",
        "rename_all",
        "skip",
        "skip_serializing",
        "flatten",
        "tag",
        "content",
        "untagged",
        "transparent",
    ];
    let mut is_start = true;
    for token in tokens {
        match &token {
            TokenTree::Ident(ident) if is_start => {
                let key = ident.to_string();
                if DIFFERS.contains(&key.as_str()) {
                    return Some((key, ident.span()));
                }
                is_start = false;
            }
            TokenTree::Punct(punct) => is_start = matches!(punct.as_char(), ',' | '!'),
            _ => is_start = false,
        }
    }
    None
}
