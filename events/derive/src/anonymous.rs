//! `#[derive(Anonymous)]`.

use proc_macro2::TokenStream;
use quote::{format_ident, quote, quote_spanned};
use syn::{Data, DataEnum, DeriveInput, Fields, Ident, Type, Variant, ext::IdentExt, parse_quote};

use crate::{
    case::Case,
    fields::{self, Naming},
};

/// Implements `Anonymous` for an enum or a struct.
pub(crate) fn expand(input: &DeriveInput) -> syn::Result<TokenStream> {
    let ident = &input.ident;
    let naming = Naming::parse(&input.attrs)?;
    let arms = match &input.data {
        Data::Enum(data) => variants(data, &naming)?,
        Data::Struct(data) => {
            let (pattern, value) = members(&data.fields, naming.rename_all)?;
            let value = value.ok_or_else(|| {
                syn::Error::new(ident.span(), "a struct without fields has nothing to tell")
            })?;
            quote! { Self #pattern => #value, }
        }
        Data::Union(_) => {
            let message = "nobody can tell what is in a union: use an enum or a struct";
            return Err(syn::Error::new(ident.span(), message));
        }
    };

    let mut generics = input.generics.clone();
    for param in generics.type_params_mut() {
        param.bounds.push(parse_quote!(::tidings::private::analytics::Anonymous));
    }
    let (impl_generics, type_generics, where_clause) = generics.split_for_impl();
    Ok(quote! {
        #[automatically_derived]
        impl #impl_generics ::tidings::private::analytics::Anonymous for #ident #type_generics
        #where_clause
        {
            fn to_value(&self) -> ::core::option::Option<::tidings::private::analytics::Value> {
                match self {
                    #arms
                }
            }
        }
    })
}

fn variants(data: &DataEnum, naming: &Naming) -> syn::Result<TokenStream> {
    if data.variants.is_empty() {
        return Ok(quote! { _ => ::core::option::Option::None, });
    }
    data.variants.iter().map(|variant| arm(variant, naming)).collect()
}

fn arm(variant: &Variant, enum_naming: &Naming) -> syn::Result<TokenStream> {
    let naming = Naming::parse(&variant.attrs)?;
    let ident = &variant.ident;
    let case = enum_naming.rename_all.unwrap_or(Case::Snake);
    let name = naming.rename.unwrap_or_else(|| case.of_variant(&ident.unraw().to_string()));
    let (pattern, value) =
        members(&variant.fields, naming.rename_all.or(enum_naming.rename_all_fields))?;
    Ok(match value {
        None => quote! {
            Self::#ident #pattern => ::core::option::Option::Some(
                ::tidings::private::analytics::Value::name(#name)
            ),
        },
        Some(value) => quote! {
            Self::#ident #pattern => ::core::option::Option::Some(
                ::tidings::private::analytics::Value::object([(
                    #name,
                    ::core::option::Option::Some(#value.unwrap_or_else(
                        ::tidings::private::analytics::Value::null
                    )),
                )])
            ),
        },
    })
}

/// Returns the pattern that takes the fields apart, and their value; `None` where there are no fields.
fn members(fields: &Fields, case: Option<Case>) -> syn::Result<(TokenStream, Option<TokenStream>)> {
    match fields {
        Fields::Unit => Ok((TokenStream::new(), None)),
        Fields::Unnamed(fields) => {
            let ident = |(at, field): (usize, &syn::Field)| {
                format_ident!("field_{at}", span = fields::at(&field.ty))
            };
            let idents: Vec<_> = fields.unnamed.iter().enumerate().map(ident).collect();
            let values: Vec<_> = idents
                .iter()
                .zip(&fields.unnamed)
                .map(|(ident, field)| value(ident, &field.ty))
                .collect();
            let value = match values.as_slice() {
                [] => None,
                [value] => Some(value.clone()),
                values => Some(quote! {
                    ::core::option::Option::Some(
                        ::tidings::private::analytics::Value::list([#(#values),*])
                    )
                }),
            };
            Ok((quote!((#(#idents),*)), value))
        }
        Fields::Named(fields) => {
            let mut pattern = Vec::new();
            let mut entries = Vec::new();
            for field in &fields.named {
                let Some(ident) = &field.ident else { continue };
                let naming = Naming::parse(&field.attrs)?;
                if naming.is_skipped {
                    continue;
                }
                let plain = ident.unraw().to_string();
                let cased = || case.map_or(plain.clone(), |case| case.of_field(&plain));
                let name = naming.rename.unwrap_or_else(cased);
                let local = format_ident!("field_{}", plain, span = fields::at(&field.ty));
                let value = value(&local, &field.ty);
                pattern.push(quote!(#ident: #local));
                entries.push(quote!((#name, #value)));
            }
            let value = quote! {
                ::core::option::Option::Some(
                    ::tidings::private::analytics::Value::object([#(#entries),*])
                )
            };
            Ok((quote!({ #(#pattern,)* .. }), Some(value)))
        }
    }
}

/// The value of a field, pointing at its type if that is not anonymous.
fn value(ident: &Ident, ty: &Type) -> TokenStream {
    quote_spanned!(fields::at(ty)=> ::tidings::private::analytics::Anonymous::to_value(#ident))
}
