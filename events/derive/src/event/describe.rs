//! What the catalogue is told.

use proc_macro2::{Span, TokenStream};
use quote::{format_ident, quote, quote_spanned};
use syn::{Attribute, Expr, ExprLit, Ident, Lit, LitStr, Meta};

use super::definition::{Definition, EventLayer};
use crate::fields;

impl Definition<'_> {
    /// Returns `fn describe`.
    pub(super) fn describe(&self) -> TokenStream {
        let super::Attribute { name, version, level, call, .. } = &self.attribute;
        let has_telemetry = self.has_telemetry();
        let audience = self.audience();
        let scopes = self.attribute.scope.iter().map(|field| self.key(field));
        let layers = self.layers.iter().map(EventLayer::name);
        let schema = self.schema();
        let documentation = documentation(&self.input.attrs);
        let ordering_key = self.attribute.ordering_key.as_ref().map_or_else(
            || quote!(::core::option::Option::None),
            |field| {
                let key = self.key(field);
                quote!(::core::option::Option::Some(::std::string::String::from(#key)))
            },
        );
        quote! {
            fn describe() -> ::tidings::catalogue::EventType {
                let telemetry: bool = #has_telemetry;
                let mut audience = ::std::collections::BTreeSet::from([
                    #(::tidings::event::Audience::#audience),*
                ]);
                if telemetry {
                    audience.insert(::tidings::event::Audience::Telemetry);
                }
                ::tidings::catalogue::EventType {
                    name: ::tidings::name::Name::from_static(#name),
                    version: #version,
                    audience,
                    level: ::tidings::private::analytics::Level::#level,
                    call: ::tidings::private::analytics::wire::Call::#call,
                    scopes: ::std::vec![#(::std::string::String::from(#scopes)),*],
                    layers: ::std::vec![#(::std::string::String::from(#layers)),*],
                    schema: #schema,
                    telemetry,
                    documentation: ::std::string::String::from(#documentation),
                    ordering_key: #ordering_key,
                    rust_type: ::core::any::type_name::<Self>(),
                }
            }
        }
    }

    /// The variants of `Audience` that stand in the attribute, but for telemetry, which depends on the layers.
    fn audience(&self) -> Vec<Ident> {
        let Some(audience) = &self.attribute.audience else {
            return vec![format_ident!("Notification")];
        };
        let variant = |one: &Ident| match one.to_string().as_str() {
            "notification" => Some(format_ident!("Notification")),
            "client" => Some(format_ident!("Client")),
            _ => None,
        };
        audience.iter().filter_map(variant).collect()
    }

    fn schema(&self) -> TokenStream {
        let (name, layer_fields) = (&self.attribute.name, self.layer_fields());
        let layers = self.layers.iter().map(|layer| &layer.path);
        quote_spanned! {fields::at(&self.input.ident)=>
            ::tidings::private::schema::<Self>(
                #name,
                #layer_fields,
                &[#(::tidings::private::LayerSchema::of::<#layers>()),*],
            )
        }
    }
}

/// Returns the doc comment, without the space that stands before each line.
fn documentation(attrs: &[Attribute]) -> LitStr {
    let lines = attrs.iter().filter_map(|attr| match &attr.meta {
        Meta::NameValue(meta) if meta.path.is_ident("doc") => match &meta.value {
            Expr::Lit(ExprLit { lit: Lit::Str(line), .. }) => Some(line.value()),
            _ => None,
        },
        _ => None,
    });
    let lines: Vec<_> =
        lines.map(|line| line.strip_prefix(' ').unwrap_or(&line).to_owned()).collect();
    LitStr::new(lines.join("\n").trim(), Span::call_site())
}
