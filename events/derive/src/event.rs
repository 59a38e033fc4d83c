//! `#[derive(Event)]`.

mod attribute;
mod checks;
mod definition;
mod describe;
mod scope;
mod views;

use proc_macro2::TokenStream;
use quote::quote;
use syn::DeriveInput;

pub(crate) use self::checks::check;
use self::{attribute::Attribute, definition::Definition};

/// Implements `Event`.
pub(crate) fn expand(input: &DeriveInput) -> syn::Result<TokenStream> {
    let definition = Definition::read(input)?;
    let checks = definition.checks();
    let scope = definition.scope()?;
    let ordering_key = definition.ordering_key()?;
    let notification = definition.notification();
    let telemetry = definition.telemetry();
    let describe = definition.describe();

    let ident = &input.ident;
    let Attribute { name, version, level, call, .. } = &definition.attribute;
    let (impl_generics, type_generics, where_clause) = input.generics.split_for_impl();
    Ok(quote! {
        const _: () = {
            #checks

            #[automatically_derived]
            impl #impl_generics ::tidings::event::Event for #ident #type_generics #where_clause {
                fn event_type(&self) -> &'static str {
                    #name
                }

                fn version(&self) -> i16 {
                    #version
                }

                fn level(&self) -> ::tidings::private::analytics::Level {
                    ::tidings::private::analytics::Level::#level
                }

                fn call(&self) -> ::tidings::private::analytics::wire::Call {
                    ::tidings::private::analytics::wire::Call::#call
                }

                #scope
                #ordering_key
                #notification
                #telemetry
                #describe
            }
        };
    })
}
