//! `#[derive(Statistics)]` and `#[derive(Traits)]`.

use proc_macro2::{Span, TokenStream};
use quote::{format_ident, quote, quote_spanned};
use syn::{Attribute, Data, DeriveInput, Field, Fields, Ident, LitStr, ext::IdentExt};

use crate::fields;

/// The longest name, as a report takes it.
const NAME_MAX: usize = 64;

/// Which part of a report a struct is.
#[derive(Clone, Copy)]
pub(crate) enum Part {
    Statistics,
    Traits,
}

/// What is said of a field.
#[derive(Default)]
struct Said {
    name: Option<LitStr>,
    is_skipped: bool,
}

/// Implements `Statistics` or `Traits` for a struct.
pub(crate) fn expand(input: &DeriveInput, part: Part) -> syn::Result<TokenStream> {
    let ident = &input.ident;
    let why = format!("{part} have names that are known at compile time: leave the parameter away");
    fields::check_generics(&input.generics, true, &why)?;
    let (mut names, mut calls) = (Vec::<String>::new(), Vec::new());
    for field in named(input, part)? {
        let Some(own) = &field.ident else { continue };
        let said = parse(&field.attrs)?;
        if said.is_skipped {
            continue;
        }
        let plain = own.unraw().to_string();
        let (name, span) = match said.name {
            Some(name) => (name.value(), name.span()),
            None => (plain, own.span()),
        };
        check_name(&name, span)?;
        if names.contains(&name) {
            let message = format!("two fields are told as `{name}`: rename one of them");
            return Err(syn::Error::new(span, message));
        }
        calls.push(part.call(field, own, &name));
        names.push(name);
    }
    if names.is_empty() {
        let message = format!("`{ident}` has nothing to report: give it a field");
        return Err(syn::Error::new(ident.span(), message));
    }
    let implemented = format_ident!("{}", part.to_string());
    let (impl_generics, type_generics, where_clause) = input.generics.split_for_impl();
    Ok(quote! {
        #[automatically_derived]
        impl #impl_generics ::tidings::private::analytics::report::#implemented
            for #ident #type_generics #where_clause
        {
            const NAMES: &'static [&'static str] = &[#(#names),*];

            fn tell(&self, collected: &mut ::tidings::private::analytics::report::Collected) {
                #(#calls)*
            }
        }
    })
}

impl Part {
    /// Returns the statement that tells a field, pointing at its type if that cannot be told.
    fn call(self, field: &Field, ident: &Ident, name: &str) -> TokenStream {
        let span = fields::at(&field.ty);
        let mut ident = ident.clone();
        ident.set_span(span);
        match self {
            Self::Statistics => quote_spanned! {span=>
                collected.statistic(
                    #name,
                    ::tidings::private::analytics::report::Total::total(&self.#ident),
                );
            },
            Self::Traits => quote_spanned!(span=> collected.trait_value(#name, &self.#ident);),
        }
    }
}

impl std::fmt::Display for Part {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            Self::Statistics => "Statistics",
            Self::Traits => "Traits",
        })
    }
}

fn named(input: &DeriveInput, part: Part) -> syn::Result<impl Iterator<Item = &Field>> {
    let ident = &input.ident;
    match &input.data {
        Data::Struct(data) => match &data.fields {
            Fields::Named(fields) => Ok(fields.named.iter()),
            _ => Err(not_named(ident, part)),
        },
        _ => Err(not_named(ident, part)),
    }
}

fn not_named(ident: &Ident, part: Part) -> syn::Error {
    let message = format!(
        "`{part}` are the fields of a struct under their names: write `struct {ident} {{ .. }}`"
    );
    syn::Error::new(ident.span(), message)
}

/// Reads `#[report(name = "..")]` and `#[report(skip)]`.
fn parse(attrs: &[Attribute]) -> syn::Result<Said> {
    let mut said = Said::default();
    for attr in attrs.iter().filter(|attr| attr.path().is_ident("report")) {
        attr.parse_nested_meta(|meta| {
            let key = meta.path.get_ident().map(ToString::to_string).unwrap_or_default();
            match key.as_str() {
                "name" => said.name = Some(meta.value()?.parse()?),
                "skip" => said.is_skipped = true,
                _ => {
                    return Err(meta.error(format!(
                        "`{key}` is not known here: write `name = \"..\"` or `skip`"
                    )));
                }
            }
            Ok(())
        })?;
    }
    match &said {
        Said { name: Some(name), is_skipped: true } => Err(syn::Error::new(
            name.span(),
            "what is skipped has no name in the report: leave `name` away",
        )),
        _ => Ok(said),
    }
}

fn check_name(name: &str, span: Span) -> syn::Result<()> {
    let is_fit = |byte: u8| matches!(byte, b'a'..=b'z' | b'0'..=b'9' | b'_');
    if (1..=NAME_MAX).contains(&name.len()) && name.bytes().all(is_fit) {
        return Ok(());
    }
    let message = format!(
        "`{name}` is no name in a report: write 1 to {NAME_MAX} of a-z, 0-9 and underscore, with \
         `#[report(name = \"..\")]` where the field has another one"
    );
    Err(syn::Error::new(span, message))
}
