//! `#[derive(Layer)]`.

use proc_macro2::TokenStream;
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

    let ident = &input.ident;
    let name = &attribute.name;
    let shown = fields.iter().filter(|field| field.is_shown).map(|field| &field.name);
    let keys = telemetry::keys(&marks);
    let (data, path) = match marks.as_slice() {
        [] => (quote!(_), quote!(_)),
        _ => (quote!(data), quote!(path)),
    };
    let statements = marks.iter().map(telemetry::Mark::statement);
    let identified = attribute.id.as_ref().map(|id| identified(ident, id, &fields)).transpose()?;
    let name_check = check(name, &quote!(::tidings::private::name_fault(#name)));
    Ok(quote! {
        const _: () = {
            #name_check

            #[automatically_derived]
            impl ::tidings::layer::Layer for #ident {
                const NAME: &'static str = #name;
                const FIELDS: &'static [&'static str] = &[#(#shown),*];
                const TELEMETRY: &'static [&'static str] = &[#(#keys),*];

                fn telemetry(
                    &self,
                    #data: &mut ::tidings::private::analytics::TelemetryData,
                    #path: &[&'static str],
                ) {
                    #(#statements)*
                }
            }

            #identified
        };
    })
}

fn identified(ident: &Ident, id: &Ident, fields: &[Field<'_>]) -> syn::Result<TokenStream> {
    let Some(field) = fields.iter().find(|field| field.ident == id) else {
        return Err(unknown_field(id, fields, ident));
    };
    let id = field.ident;
    let value = quote_spanned! {fields::at(id)=> ::std::string::ToString::to_string(&self.#id) };
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
