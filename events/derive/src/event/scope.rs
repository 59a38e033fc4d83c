//! Where an event belongs, and within what it is in order.

use proc_macro2::TokenStream;
use quote::{quote, quote_spanned};

use super::definition::Definition;
use crate::fields;

impl Definition<'_> {
    /// Returns `fn scope`.
    pub(super) fn scope(&self) -> syn::Result<TokenStream> {
        let element = |named| {
            let field = self.field(named)?.ident;
            let (key, value) = (self.key(field), self.displayed(named));
            Ok(quote!(let scope = ::tidings::scope::Scope::with(&scope, #key, &#value)?;))
        };
        let elements = self.attribute.scope.iter().map(element);
        let elements = elements.collect::<syn::Result<Vec<_>>>()?;
        Ok(quote! {
            fn scope(
                &self,
            ) -> ::core::result::Result<::tidings::scope::Scope, ::tidings::scope::ScopeError> {
                let scope = ::tidings::scope::Scope::root();
                #(#elements)*
                ::core::result::Result::Ok(scope)
            }
        })
    }

    /// Returns `fn ordering_key`, unless there is none.
    pub(super) fn ordering_key(&self) -> syn::Result<Option<TokenStream>> {
        let Some(named) = &self.attribute.ordering_key else { return Ok(None) };
        let value = if fields::is_option(self.field(named)?.ty) {
            let to_string = quote!(::std::string::ToString::to_string);
            quote_spanned!(fields::at(named)=> self.#named.as_ref().map(#to_string))
        } else {
            let value = self.displayed(named);
            quote!(::core::option::Option::Some(#value))
        };
        Ok(Some(quote! {
            fn ordering_key(&self) -> ::core::option::Option<::std::string::String> {
                #value
            }
        }))
    }
}
