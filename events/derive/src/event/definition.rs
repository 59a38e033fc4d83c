//! An event type, read and checked as far as a macro can.

use proc_macro2::TokenStream;
use quote::{quote, quote_spanned};
use syn::{DeriveInput, Ident, Path, ext::IdentExt, spanned::Spanned};

use super::attribute::Attribute;
use crate::{
    fields::{self, Field},
    layer::unknown_field,
    telemetry::{self, Mark},
};

/// An event type, read and checked as far as a macro can.
pub(super) struct Definition<'a> {
    pub(super) input: &'a DeriveInput,
    pub(super) attribute: Attribute,
    pub(super) fields: Vec<Field<'a>>,
    /// The layers, from the outermost to the innermost.
    pub(super) layers: Vec<EventLayer<'a>>,
    /// What the event itself tells to analytics.
    pub(super) marks: Vec<Mark>,
}

/// A field that is a layer.
pub(super) struct EventLayer<'a> {
    /// The type.
    pub(super) path: Path,
    /// The field.
    pub(super) field: &'a Ident,
}

impl EventLayer<'_> {
    /// Returns the expression of the layer's name.
    pub(super) fn name(&self) -> TokenStream {
        let path = &self.path;
        quote!(<#path as ::tidings::layer::Layer>::NAME)
    }
}

impl<'a> Definition<'a> {
    pub(super) fn read(input: &'a DeriveInput) -> syn::Result<Self> {
        fields::check_generics(
            &input.generics,
            true,
            "an event type has one schema, and a type parameter would give it many: \
             write a struct for each, or use an enum",
        )?;
        let attribute = Attribute::parse(input)?;
        let fields = fields::named(input, "an event")?;
        if let Some(span) = fields.iter().find_map(|field| field.flatten) {
            let message = "`#[serde(flatten)]` hides the names of fields, and views are checked for collisions \
                           at compile time: give the data a field of its own, or make it a layer";
            return Err(syn::Error::new(span, message));
        }
        let layer =
            |path: &Path| Ok(EventLayer { path: path.clone(), field: layer_field(path, &fields)? });
        let layers = attribute.layers.iter().map(layer).collect::<syn::Result<Vec<_>>>()?;
        let marks = telemetry::marks(&fields)?;
        let definition = Self { input, attribute, fields, layers, marks };
        definition.check_marks()?;
        Ok(definition)
    }

    fn check_marks(&self) -> syn::Result<()> {
        let marked = self.fields.iter().filter_map(|field| {
            Some((field, field.attrs.iter().find(|attr| attr.path().is_ident("telemetry"))?))
        });
        let audience = self.attribute.audience.as_deref();
        let is_told = audience.is_none_or(|audience| audience.iter().any(|one| one == "telemetry"));
        for (field, attr) in marked {
            if self.layer_in(field.ident).is_some() {
                let message = "a layer says itself what it tells: put `#[telemetry]` on its fields";
                return Err(syn::Error::new(attr.path().span(), message));
            }
            if !is_told {
                let message = "this field is marked for telemetry, which is not in `audience(..)`: add it there, \
                               or leave the mark away";
                return Err(syn::Error::new(attr.path().span(), message));
            }
        }
        Ok(())
    }

    /// Returns the layer that `field` holds.
    pub(super) fn layer_in(&self, field: &Ident) -> Option<&EventLayer<'a>> {
        self.layers.iter().find(|layer| layer.field == field)
    }

    /// Returns the field that an attribute names.
    pub(super) fn field(&self, named: &Ident) -> syn::Result<&Field<'a>> {
        let field = self.fields.iter().find(|field| field.ident == named);
        field.ok_or_else(|| unknown_field(named, &self.fields, &self.input.ident))
    }

    /// Returns the name of a field in scopes: that of its layer, or else its own.
    pub(super) fn key(&self, field: &Ident) -> TokenStream {
        let name = field.unraw().to_string();
        self.layer_in(field).map_or(quote!(#name), EventLayer::name)
    }

    /// Returns the value of a field in scopes: the id of its layer, or else what is displayed.
    pub(super) fn displayed(&self, field: &Ident) -> TokenStream {
        let span = fields::at(field);
        let layer = self.layer_in(field).map(|layer| &layer.path);
        layer.map_or_else(
            || quote_spanned!(span=> ::std::string::ToString::to_string(&self.#field)),
            |path| {
                quote_spanned! {span=>
                    <#path as ::tidings::layer::Identified>::scope_value(&self.#field)
                }
            },
        )
    }

    /// Returns the names under which serde would write the layers, if they were not nested.
    pub(super) fn layer_fields(&self) -> TokenStream {
        let is_layer = |field: &&Field<'a>| self.layer_in(field.ident).is_some();
        let names = self.fields.iter().filter(is_layer).map(|field| &field.name);
        quote!(&[#(#names),*])
    }

    /// Returns whether the attributes leave open that there is a telemetry view.
    pub(super) fn may_have_telemetry(&self) -> bool {
        match &self.attribute.audience {
            Some(audience) => audience.iter().any(|one| one == "telemetry"),
            None => !self.marks.is_empty() || !self.layers.is_empty(),
        }
    }

    /// Returns the constant that is true if there is a telemetry view.
    ///
    /// It is what the audience says, or else whether anything is marked for it, here or in a layer.
    pub(super) fn has_telemetry(&self) -> TokenStream {
        if self.attribute.audience.is_some() || !self.marks.is_empty() {
            let has_telemetry = self.may_have_telemetry();
            return quote!(#has_telemetry);
        }
        let layers = self.layers.iter().map(|layer| &layer.path);
        quote!(false #(|| !<#layers as ::tidings::layer::Layer>::TELEMETRY.is_empty())*)
    }
}

/// Finds the field that holds the layer `path`, by the name of its type.
fn layer_field<'a>(path: &Path, fields: &[Field<'a>]) -> syn::Result<&'a Ident> {
    let error = |message| Err(syn::Error::new(path.span(), message));
    let layer = path.segments.last().map(|segment| &segment.ident);
    let mut found = fields.iter().filter(|field| fields::base_ident(field.ty) == layer);
    let shown = layer.map(ToString::to_string).unwrap_or_default();
    let field = match (found.next(), found.next()) {
        (Some(field), None) => field,
        (Some(_), Some(_)) => {
            return error(format!(
                "two fields are of the type `{shown}`, and a layer stands in an event once"
            ));
        }
        (None, _) => {
            return error(format!(
                "no field is of the type `{shown}`: each of `layers(..)` is the type of a field"
            ));
        }
    };
    if field.is_renamed || !field.is_shown {
        let message = "a layer is always shown, under the name that it has by itself: leave the attribute \
                       of serde away, or take the field out of `layers(..)`";
        return Err(syn::Error::new(field.ident.span(), message));
    }
    Ok(field.ident)
}
