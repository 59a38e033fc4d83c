//! What only the compiler can check, because it is in constants of other types.

use proc_macro2::TokenStream;
use quote::{quote, quote_spanned};
use syn::spanned::Spanned;

use super::definition::Definition;
use crate::{fields, telemetry};

impl Definition<'_> {
    /// Returns constants that do not evaluate where something is wrong, each pointing at its reason.
    pub(super) fn checks(&self) -> TokenStream {
        let name = &self.attribute.name;
        let mut checks = vec![check(name, &quote!(::tidings::private::fault_of(#name)))];
        if !self.attribute.is_reserved {
            let fault = quote!(::tidings::private::reserved(#name));
            checks.push(check(name, &fault));
        }
        if let Some(first) = self.attribute.scope.first() {
            let keys = self.attribute.scope.iter().map(|field| self.key(field));
            let fault = quote!(::tidings::private::scope_fault(&[#(#keys),*]));
            checks.push(check(first, &fault));
        }
        checks.extend(self.covered_in_event());
        checks.extend(self.covered_in_layers());
        checks.into_iter().collect()
    }

    /// Checks that the outermost layer stands apart from the event's own fields.
    fn covered_in_event(&self) -> Option<TokenStream> {
        let first = self.layers.first()?;
        let (event, next) = (&self.attribute.name, first.name());
        let is_own = |ident| self.layer_in(ident).is_none();
        let own = self.fields.iter().filter(|field| field.is_shown && is_own(field.ident));
        let (fields, keys) = (own.map(|field| &field.name), telemetry::keys(&self.marks));
        let fault = quote! {
            ::tidings::private::covered("the event", #event, &[#(#fields),*], &[#(#keys),*], #next)
        };
        Some(check(&first.path, &fault))
    }

    /// Checks that each other layer stands apart from the fields of the one above.
    fn covered_in_layers(&self) -> impl Iterator<Item = TokenStream> {
        self.layers.iter().zip(self.layers.iter().skip(1)).map(|(outer, inner)| {
            let (path, name, next) = (&outer.path, outer.name(), inner.name());
            let fault = quote! {
                ::tidings::private::covered(
                    "the layer",
                    #name,
                    <#path as ::tidings::layer::Layer>::FIELDS,
                    <#path as ::tidings::layer::Layer>::TELEMETRY,
                    #next,
                )
            };
            check(&inner.path, &fault)
        })
    }
}

/// Returns a constant that is an error at compile time, pointing at `place`, if `fault` is a message.
pub(crate) fn check(place: &impl Spanned, fault: &TokenStream) -> TokenStream {
    quote_spanned! {fields::at(place)=>
        const _: () = if let ::core::option::Option::Some(message) = #fault {
            ::core::panic!("{}", message.as_str())
        };
    }
}
