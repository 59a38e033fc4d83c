//! `#[telemetry]`: what of a field may leave, and where it stands.

use proc_macro2::{Span, TokenStream};
use quote::{quote, quote_spanned};
use syn::{LitInt, LitStr, Path, Token, meta::ParseNestedMeta, spanned::Spanned, token::Paren};

use crate::fields::{self, Field, is_option};

/// One property of the telemetry view.
pub(crate) struct Mark {
    tree: Tree,
    pub(crate) key: String,
    /// The expression of the anonymous value.
    value: TokenStream,
    /// Where the reader is pointed to: the type of the field, or the function.
    span: Span,
}

#[derive(Clone, Copy, Eq, PartialEq)]
enum Tree {
    Property,
    Derived,
}

impl Mark {
    /// Returns the statement that adds the property to `data` at `path`.
    pub(crate) fn statement(&self) -> TokenStream {
        let Self { tree, key, value, span } = self;
        match tree {
            Tree::Property => quote_spanned! {*span=> data.property(path, #key, &#value); },
            Tree::Derived => quote_spanned! {*span=> data.derived(path, #key, &#value); },
        }
    }
}

/// Reads the marks of all `fields`, and refuses two for one place.
pub(crate) fn marks(fields: &[Field<'_>]) -> syn::Result<Vec<Mark>> {
    let mut marks: Vec<Mark> = Vec::new();
    for field in fields {
        for attr in field.attrs.iter().filter(|attr| attr.path().is_ident("telemetry")) {
            let mark = mark(field, attr)?;
            if marks.iter().any(|other| other.tree == mark.tree && other.key == mark.key) {
                let message = format!("the telemetry property `{}` is there twice", mark.key);
                return Err(syn::Error::new(attr.path().span(), message));
            }
            marks.push(mark);
        }
    }
    Ok(marks)
}

/// Returns the keys of `marks`, each once.
pub(crate) fn keys(marks: &[Mark]) -> Vec<&str> {
    let mut keys: Vec<_> = marks.iter().map(|mark| mark.key.as_str()).collect();
    keys.sort_unstable();
    keys.dedup();
    keys
}

/// How a value becomes anonymous.
enum How {
    Count,
    Bucket(Vec<LitInt>),
    Hashed,
    Extension,
    With(Path),
}

fn mark(field: &Field<'_>, attr: &syn::Attribute) -> syn::Result<Mark> {
    let (how, derived) = match &attr.meta {
        syn::Meta::Path(_) => (None, None),
        _ => parse(attr)?,
    };
    let span = fields::at(field.ty);
    let name = &field.name;
    // All of the expression points at the type, which is what an error is about.
    let mut ident = field.ident.clone();
    ident.set_span(span);
    let mark = |tree, key, value| Mark { tree, key, value, span };
    let analytics = quote_spanned!(span=> ::tidings::private::analytics);
    // A function that takes the value by reference; of an `Option`, what is inside.
    let apply = |function: TokenStream, map: TokenStream| {
        if is_option(field.ty) {
            quote_spanned!(span=> self.#ident.as_ref().#map(#function))
        } else {
            quote_spanned!(span=> #function(&self.#ident))
        }
    };
    Ok(match how {
        None => mark(Tree::Property, name.clone(), quote_spanned!(span=> self.#ident)),
        Some(How::With(path)) => {
            let span = fields::at(&path);
            let value = quote_spanned!(span=> #path(&self.#ident));
            let tree = if derived.is_some() { Tree::Derived } else { Tree::Property };
            Mark { tree, key: derived.unwrap_or_else(|| name.clone()), span, value }
        }
        Some(How::Count) => {
            let value = apply(quote_spanned!(span=> #analytics::Count::of), quote!(map));
            mark(Tree::Derived, format!("{name}_count"), value)
        }
        Some(How::Bucket(bounds)) if bounds.is_empty() => {
            let value = apply(quote_spanned!(span=> #analytics::Bucket::of), quote!(and_then));
            mark(Tree::Derived, format!("{name}_bucket"), value)
        }
        Some(How::Bucket(bounds)) => {
            let within = quote_spanned!(span=> #analytics::Bucket::within);
            let value = if is_option(field.ty) {
                let function = quote_spanned!(span=> |value| #within(value, &[#(#bounds),*]));
                quote_spanned!(span=> self.#ident.as_ref().and_then(#function))
            } else {
                quote_spanned!(span=> #within(&self.#ident, &[#(#bounds),*]))
            };
            mark(Tree::Derived, format!("{name}_bucket"), value)
        }
        Some(How::Hashed) => {
            let value = apply(quote_spanned!(span=> #analytics::Hashed::new), quote!(map));
            mark(Tree::Derived, format!("{name}_hashed"), value)
        }
        Some(How::Extension) => {
            let value = apply(quote_spanned!(span=> #analytics::Extension::of), quote!(map));
            mark(Tree::Derived, format!("{name}_extension"), value)
        }
    })
}

fn parse(attr: &syn::Attribute) -> syn::Result<(Option<How>, Option<String>)> {
    let (mut how, mut derived) = (None, None);
    attr.parse_nested_meta(|meta| {
        let key = meta.path.get_ident().map(ToString::to_string).unwrap_or_default();
        let one = match key.as_str() {
            "derived" => {
                derived = Some(meta.value()?.parse::<LitStr>()?.value());
                return Ok(());
            }
            "count" => How::Count,
            "bucket" => How::Bucket(bounds(&meta)?),
            "hashed" => How::Hashed,
            "extension" => How::Extension,
            "with" => How::With(meta.value()?.parse()?),
            _ => {
                return Err(meta.error(format!(
                    "`{key}` is not known here: write `count`, `bucket`, `bucket(10, 100)`, `hashed`, \
                     `extension`, `with = function` or `derived = \"name\", with = function`"
                )));
            }
        };
        match how.replace(one) {
            None => Ok(()),
            Some(_) => Err(meta.error("one mark says one thing: write a second `#[telemetry(..)]`")),
        }
    })?;
    match (&how, &derived) {
        (None, None) => {
            Err(syn::Error::new(attr.path().span(), "say what is told, or write `#[telemetry]`"))
        }
        (None | Some(How::Count | How::Bucket(_) | How::Hashed | How::Extension), Some(_)) => {
            let message =
                "`derived = \"name\"` names what a function returns: add `with = function`";
            Err(syn::Error::new(attr.path().span(), message))
        }
        _ => Ok((how, derived)),
    }
}

/// Reads `(10, 100)`, if it is there: whole numbers in ascending order.
fn bounds(meta: &ParseNestedMeta<'_>) -> syn::Result<Vec<LitInt>> {
    if !meta.input.peek(Paren) {
        return Ok(Vec::new());
    }
    let content;
    syn::parenthesized!(content in meta.input);
    let bounds = content.parse_terminated(<LitInt as syn::parse::Parse>::parse, Token![,])?;
    let mut last = None;
    for bound in &bounds {
        let value = bound.base10_parse::<u64>()?;
        if last.replace(value).is_some_and(|last| last >= value) {
            return Err(syn::Error::new(
                bound.span(),
                "the bounds of buckets are in ascending order",
            ));
        }
    }
    if bounds.is_empty() {
        return Err(meta.error("give at least one bound, or write `bucket` for powers of ten"));
    }
    Ok(bounds.into_iter().collect())
}
