//! `#[derive(Diff)]`.

use proc_macro2::TokenStream;
use quote::{quote, quote_spanned};
use syn::{Attribute, Data, DeriveInput, Field, Fields, Ident, LitStr, ext::IdentExt};

use crate::fields;

/// How it is written.
const CHOICE: &str =
    "write `#[diff(value)]`, `#[diff(sensitive)]`, `#[diff(entries)]` or `#[diff(skip)]`";

/// What is told of a field that has changed.
#[derive(Clone, Copy, Eq, PartialEq)]
enum Told {
    Value,
    Sensitive,
    Entries,
    Nothing,
}

/// Implements `Diff` for a struct.
pub(crate) fn expand(input: &DeriveInput) -> syn::Result<TokenStream> {
    let ident = &input.ident;
    let fields = match &input.data {
        Data::Struct(data) => match &data.fields {
            Fields::Named(fields) => &fields.named,
            _ => return Err(not_named(ident)),
        },
        _ => return Err(not_named(ident)),
    };
    let calls = fields.iter().map(call).collect::<syn::Result<Vec<_>>>()?;
    let (impl_generics, type_generics, where_clause) = input.generics.split_for_impl();
    Ok(quote! {
        #[automatically_derived]
        impl #impl_generics ::tidings::change::Diff for #ident #type_generics #where_clause {
            fn diff(
                &self,
                new: &Self,
            ) -> ::core::option::Option<::tidings::change::Changes> {
                let builder = ::tidings::change::Changes::builder();
                #(#calls)*
                builder.build()
            }
        }
    })
}

fn not_named(ident: &Ident) -> syn::Error {
    let message =
        format!("`Diff` compares the fields of a struct, and `{ident}` has none with names");
    syn::Error::new(ident.span(), message)
}

/// Returns the statement that adds the change of a field.
fn call(field: &Field) -> syn::Result<TokenStream> {
    let Some(ident) = &field.ident else { return Ok(TokenStream::new()) };
    let plain = ident.unraw().to_string();
    let mut attrs = field.attrs.iter().filter(|attr| attr.path().is_ident("diff"));
    let (told, object) = match (attrs.next(), attrs.next()) {
        (Some(attr), None) => parse(attr)?,
        (Some(_), Some(second)) => {
            let message = "one attribute says what is told: leave the second away";
            return Err(syn::Error::new(
                second.path().get_ident().map_or(ident.span(), Ident::span),
                message,
            ));
        }
        (None, _) => {
            let message = format!("say what is told of `{plain}` when it changes: {CHOICE}");
            return Err(syn::Error::new(ident.span(), message));
        }
    };
    let object = object.map_or(plain, |object| object.value());
    let span = fields::at(&field.ty);
    let mut ident = ident.clone();
    ident.set_span(span);
    Ok(match told {
        Told::Value => {
            quote_spanned!(span=> let builder = builder.value(#object, &self.#ident, &new.#ident);)
        }
        Told::Sensitive => {
            quote_spanned!(span=> let builder = builder.sensitive(#object, &self.#ident, &new.#ident);)
        }
        Told::Entries => {
            quote_spanned!(span=> let builder = builder.entries(#object, &self.#ident, &new.#ident);)
        }
        Told::Nothing => TokenStream::new(),
    })
}

fn parse(attr: &Attribute) -> syn::Result<(Told, Option<LitStr>)> {
    let (mut told, mut object) = (None, None);
    attr.parse_nested_meta(|meta| {
        let key = meta.path.get_ident().map(ToString::to_string).unwrap_or_default();
        let one = match key.as_str() {
            "object" => {
                object = Some(meta.value()?.parse()?);
                return Ok(());
            }
            "value" => Told::Value,
            "sensitive" => Told::Sensitive,
            "entries" => Told::Entries,
            "skip" => Told::Nothing,
            _ => return Err(meta.error(format!("`{key}` is not known here: {CHOICE}"))),
        };
        match told.replace(one) {
            None => Ok(()),
            Some(_) => Err(meta.error("a field is told in one way: leave the others away")),
        }
    })?;
    let span = attr.path().get_ident().map_or_else(proc_macro2::Span::call_site, Ident::span);
    match told {
        None => Err(syn::Error::new(span, format!("say what is told: {CHOICE}"))),
        Some(Told::Nothing) if object.is_some() => Err(syn::Error::new(
            span,
            "what is skipped has no name in the list: leave `object` away",
        )),
        Some(told) => Ok((told, object)),
    }
}
