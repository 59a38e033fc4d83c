//! The two views.

use proc_macro2::TokenStream;
use quote::{quote, quote_spanned};

use super::definition::{Definition, EventLayer};
use crate::{fields, telemetry::Mark};

impl Definition<'_> {
    /// Returns `fn notification`.
    pub(super) fn notification(&self) -> TokenStream {
        let layer_fields = self.layer_fields();
        let nest = |next, layer: &EventLayer<'_>| {
            let EventLayer { path, field } = layer;
            quote!(::tidings::private::Nested::<'_, #path, _>::new(&self.#field, #next))
        };
        let nested = self.layers.iter().rev().fold(quote!(()), nest);
        let view = quote_spanned! {fields::at(&self.input.ident)=>
            ::tidings::private::notification::<Self, _>(self, #layer_fields, #nested)
        };
        quote! {
            fn notification(
                &self,
            ) -> ::core::result::Result<::std::string::String, ::tidings::private::serde_json::Error> {
                #view
            }
        }
    }

    /// Returns `fn telemetry`, without what would not be used.
    pub(super) fn telemetry(&self) -> TokenStream {
        let view = if self.may_have_telemetry() {
            self.telemetry_view()
        } else {
            quote!(::core::option::Option::None)
        };
        quote! {
            fn telemetry(
                &self,
            ) -> ::core::option::Option<::tidings::private::analytics::TelemetryData> {
                #view
            }
        }
    }

    fn telemetry_view(&self) -> TokenStream {
        let has_telemetry = self.has_telemetry();
        let layers = self.layers.iter().enumerate().map(|(at, EventLayer { path, field })| {
            let steps = self.layers.iter().take(at + 1).map(EventLayer::name);
            quote! {
                <#path as ::tidings::layer::Layer>::telemetry(&self.#field, &mut data, &[#(#steps),*]);
            }
        });
        let mutable = (!self.layers.is_empty() || !self.marks.is_empty()).then(|| quote!(mut));
        let path = (!self.marks.is_empty()).then(|| quote!(let path: &[&'static str] = &[];));
        let own = self.marks.iter().map(Mark::statement);
        quote! {
            if !(#has_telemetry) {
                return ::core::option::Option::None;
            }
            let #mutable data = ::tidings::private::analytics::TelemetryData::new();
            #(#layers)*
            #path
            #(#own)*
            ::core::option::Option::Some(data)
        }
    }
}
