//! `#[derive(Layer)]`.

use proc_macro2::{Span, TokenStream};
use quote::{quote, quote_spanned};
use syn::{DeriveInput, Ident, LitStr, ext::IdentExt};

use crate::{
    event::check,
    fields::{self, Field},
    telemetry,
};

/// What `#[layer(..)]` says.
struct Attribute {
    name: LitStr,
    id: Option<Ident>,
}

/// Implements `Layer`, and `Identified` where there is an id.
pub(crate) fn expand(input: &DeriveInput) -> syn::Result<TokenStream> {
    fields::check_generics(
        &input.generics,
        false,
        "a layer owns its data, so that it means the same in every event: leave parameters away; \
         an event may borrow a whole layer, as in `project: &'a Project`",
    )?;
    let attribute = parse(input)?;
    let fields = fields::named(input, "a layer")?;
    let marks = telemetry::marks(&fields)?;

    let joined = Joined::read(&fields)?;

    let ident = &input.ident;
    let name = &attribute.name;
    let is_shown = |field: &&Field<'_>| field.is_shown && field.flatten.is_none();
    let shown = fields.iter().filter(is_shown).map(|field| &field.name);
    let shown = joined.names("FIELDS", quote!(&[#(#shown),*]));
    let keys = telemetry::keys(&marks);
    let keys = joined.names("TELEMETRY", quote!(&[#(#keys),*]));
    let (data, path) = if marks.is_empty() && joined.fields.is_empty() {
        (quote!(_), quote!(_))
    } else {
        (quote!(data), quote!(path))
    };
    let joined_statements = joined.statements();
    let joined_checks = joined.checks(ident, name);
    let statements = marks.iter().map(telemetry::Mark::statement);
    let identified = attribute.id.as_ref().map(|id| identified(ident, id, &fields)).transpose()?;
    let name_check = check(name, &quote!(::tidings::private::name_fault(#name)));
    Ok(quote! {
        const _: () = {
            #name_check
            #joined_checks

            #[automatically_derived]
            impl ::tidings::layer::Layer for #ident {
                const NAME: &'static str = #name;
                const FIELDS: &'static [&'static str] = #shown;
                const TELEMETRY: &'static [&'static str] = #keys;

                fn telemetry(
                    &self,
                    #data: &mut ::tidings::private::analytics::TelemetryData,
                    #path: &[&'static str],
                ) {
                    #joined_statements
                    #(#statements)*
                }
            }

            #identified
        };
    })
}

/// The fields that are layers themselves, and whose fields stand in their place.
struct Joined<'a> {
    fields: Vec<&'a Field<'a>>,
}

impl<'a> Joined<'a> {
    fn read(fields: &'a [Field<'a>]) -> syn::Result<Self> {
        let fields: Vec<_> = fields.iter().filter(|field| field.flatten.is_some()).collect();
        for field in &fields {
            if field.attrs.iter().any(|attr| attr.path().is_ident("telemetry")) {
                let message = "a layer says itself what it tells: put `#[telemetry]` on its fields";
                return Err(syn::Error::new(field.ident.span(), message));
            }
            if !field.is_shown {
                let message = "a layer that joins another one is always shown: leave `skip` away";
                return Err(syn::Error::new(field.ident.span(), message));
            }
        }
        Ok(Self { fields })
    }

    /// Returns the names `own` and those of the joined layers, which they have in the constant `list`.
    fn names(&self, list: &str, own: TokenStream) -> TokenStream {
        if self.fields.is_empty() {
            return own;
        }
        let parts = self.parts(list);
        quote! {{
            const PARTS: &[&[&'static str]] = &[#own #(, #parts)*];
            const NAMES: [&'static str; ::tidings::private::total(PARTS)] =
                ::tidings::private::concat(PARTS);
            &NAMES
        }}
    }

    /// Returns the constant `list` of each joined layer.
    fn parts(&self, list: &str) -> Vec<TokenStream> {
        let list = Ident::new(list, Span::call_site());
        let part = |field: &&Field<'_>| {
            let ty = field.ty;
            quote_spanned!(fields::at(ty)=> <#ty as ::tidings::layer::Layer>::#list)
        };
        self.fields.iter().map(part).collect()
    }

    /// Returns the statements that let each joined layer tell what it tells.
    fn statements(&self) -> TokenStream {
        let statement = |field: &&Field<'_>| {
            let (ident, ty) = (field.ident, field.ty);
            quote! { <#ty as ::tidings::layer::Layer>::telemetry(&self.#ident, data, path); }
        };
        self.fields.iter().map(statement).collect()
    }

    /// Returns constants that do not evaluate where two names are the same.
    fn checks(&self, ident: &Ident, name: &LitStr) -> TokenStream {
        let Some(first) = self.fields.first() else { return TokenStream::new() };
        let check = |(list, what): (&str, &str)| {
            let list = Ident::new(list, Span::call_site());
            let names = quote!(<#ident as ::tidings::layer::Layer>::#list);
            check(first.ty, &quote!(::tidings::private::name_twice(#name, #what, #names)))
        };
        [("FIELDS", "field"), ("TELEMETRY", "telemetry property")].into_iter().map(check).collect()
    }
}

fn identified(ident: &Ident, id: &Ident, fields: &[Field<'_>]) -> syn::Result<TokenStream> {
    let Some(field) = fields.iter().find(|field| field.ident == id) else {
        return Err(unknown_field(id, fields, ident));
    };
    let (id, ty) = (field.ident, field.ty);
    let span = fields::at(id);
    let value = if field.flatten.is_some() {
        quote_spanned!(span=> <#ty as ::tidings::layer::Identified>::scope_value(&self.#id))
    } else {
        quote_spanned!(span=> ::std::string::ToString::to_string(&self.#id))
    };
    Ok(quote! {
        #[automatically_derived]
        impl ::tidings::layer::Identified for #ident {
            fn scope_value(&self) -> ::std::string::String {
                #value
            }
        }
    })
}

/// Says that `field` is none, and which ones there are.
pub(crate) fn unknown_field(field: &Ident, fields: &[Field<'_>], owner: &Ident) -> syn::Error {
    let known: Vec<_> = fields.iter().map(|field| format!("`{}`", field.ident.unraw())).collect();
    let known = match known.as_slice() {
        [] => "it has none".to_owned(),
        known => format!("it has {}", known.join(", ")),
    };
    syn::Error::new(field.span(), format!("`{field}` is not a field of `{owner}`; {known}"))
}

fn parse(input: &DeriveInput) -> syn::Result<Attribute> {
    let (mut name, mut id) = (None, None);
    for attr in input.attrs.iter().filter(|attr| attr.path().is_ident("layer")) {
        attr.parse_nested_meta(|meta| {
            if meta.path.is_ident("name") {
                name = Some(meta.value()?.parse()?);
                return Ok(());
            }
            if meta.path.is_ident("id") {
                id = Some(meta.value()?.call(Ident::parse_any)?);
                return Ok(());
            }
            Err(meta.error(
                "this attribute is not known: a layer has `name = \"project\"` and `id = field`",
            ))
        })?;
    }
    let name = name.ok_or_else(|| {
        let message = "a layer has a name: write `#[layer(name = \"project\", id = uuid)]`";
        syn::Error::new(input.ident.span(), message)
    })?;
    Ok(Attribute { name, id })
}
