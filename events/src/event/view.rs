//! The notification view, written in one pass.
//!
//! An event derives `Serialize` as a flat struct, with its layers as fields.
//! The view shows the layers first, each inside the one above, and then the other fields, as that `Serialize` writes
//! them: what an attribute of serde says about a field is honoured because serde does it.

use serde::{
    Serialize, Serializer,
    ser::{Error, Impossible, SerializeMap, SerializeStruct},
};

use crate::layer::Layer;

/// Writes the notification view of `event`: `layers`, and the event's own fields without `layer_fields`.
pub fn notification<E: Serialize, L: Serialize>(
    event: &E,
    layer_fields: &'static [&'static str],
    layers: L,
) -> Result<String, serde_json::Error> {
    serde_json::to_string(&View { layers, own: Own { event, layer_fields } })
}

#[derive(Serialize)]
struct View<'a, E: Serialize, L: Serialize> {
    #[serde(flatten)]
    layers: L,
    #[serde(flatten)]
    own: Own<'a, E>,
}

/// A layer under its name, with the next one inside; the end of the path is `()`.
#[derive(Debug)]
pub struct Nested<'a, L, N> {
    layer: &'a L,
    next: N,
}

// Without bounds, so that a type that is no layer is one error and not three.
impl<'a, L, N> Nested<'a, L, N> {
    /// Puts `next` inside `layer`.
    pub const fn new(layer: &'a L, next: N) -> Self {
        Self { layer, next }
    }
}

impl<L: Layer, N: Serialize> Serialize for Nested<'_, L, N> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut map = serializer.serialize_map(Some(1))?;
        map.serialize_entry(L::NAME, &Content { layer: self.layer, next: &self.next })?;
        map.end()
    }
}

#[derive(Serialize)]
struct Content<'a, L: Serialize, N: Serialize> {
    #[serde(flatten)]
    layer: &'a L,
    #[serde(flatten)]
    next: &'a N,
}

/// An event without its layers.
struct Own<'a, E> {
    event: &'a E,
    layer_fields: &'static [&'static str],
}

impl<E: Serialize> Serialize for Own<'_, E> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        self.event.serialize(Without { serializer, layer_fields: self.layer_fields })
    }
}

/// Writes a struct and leaves some of its fields away.
struct Without<S> {
    serializer: S,
    layer_fields: &'static [&'static str],
}

impl<S: SerializeStruct> SerializeStruct for Without<S> {
    type Ok = S::Ok;
    type Error = S::Error;

    fn serialize_field<T: Serialize + ?Sized>(
        &mut self,
        key: &'static str,
        value: &T,
    ) -> Result<(), S::Error> {
        if self.layer_fields.contains(&key) {
            return Ok(());
        }
        self.serializer.serialize_field(key, value)
    }

    fn skip_field(&mut self, key: &'static str) -> Result<(), S::Error> {
        self.serializer.skip_field(key)
    }

    fn end(self) -> Result<S::Ok, S::Error> {
        self.serializer.end()
    }
}

fn not_a_struct<T, E: Error>() -> Result<T, E> {
    Err(E::custom("the `Serialize` of an event writes a struct, as the derived one does"))
}

macro_rules! refuse {
    ($($method:ident($($argument:ty),*))*) => {$(
        fn $method(self $(, _: $argument)*) -> Result<S::Ok, S::Error> {
            not_a_struct()
        }
    )*};
}

impl<S: Serializer> Serializer for Without<S> {
    type Ok = S::Ok;
    type Error = S::Error;
    type SerializeSeq = Impossible<S::Ok, S::Error>;
    type SerializeTuple = Impossible<S::Ok, S::Error>;
    type SerializeTupleStruct = Impossible<S::Ok, S::Error>;
    type SerializeTupleVariant = Impossible<S::Ok, S::Error>;
    type SerializeMap = Impossible<S::Ok, S::Error>;
    type SerializeStruct = Without<S::SerializeStruct>;
    type SerializeStructVariant = Impossible<S::Ok, S::Error>;

    fn serialize_struct(
        self,
        name: &'static str,
        len: usize,
    ) -> Result<Self::SerializeStruct, S::Error> {
        let serializer = self.serializer.serialize_struct(name, len)?;
        Ok(Without { serializer, layer_fields: self.layer_fields })
    }

    refuse! {
        serialize_bool(bool)
        serialize_i8(i8)
        serialize_i16(i16)
        serialize_i32(i32)
        serialize_i64(i64)
        serialize_u8(u8)
        serialize_u16(u16)
        serialize_u32(u32)
        serialize_u64(u64)
        serialize_f32(f32)
        serialize_f64(f64)
        serialize_char(char)
        serialize_str(&str)
        serialize_bytes(&[u8])
        serialize_none()
        serialize_unit()
        serialize_unit_struct(&'static str)
        serialize_unit_variant(&'static str, u32, &'static str)
    }

    fn serialize_some<T: Serialize + ?Sized>(self, _: &T) -> Result<S::Ok, S::Error> {
        not_a_struct()
    }

    fn serialize_newtype_struct<T: Serialize + ?Sized>(
        self,
        _: &'static str,
        _: &T,
    ) -> Result<S::Ok, S::Error> {
        not_a_struct()
    }

    fn serialize_newtype_variant<T: Serialize + ?Sized>(
        self,
        _: &'static str,
        _: u32,
        _: &'static str,
        _: &T,
    ) -> Result<S::Ok, S::Error> {
        not_a_struct()
    }

    fn serialize_seq(self, _: Option<usize>) -> Result<Self::SerializeSeq, S::Error> {
        not_a_struct()
    }

    fn serialize_tuple(self, _: usize) -> Result<Self::SerializeTuple, S::Error> {
        not_a_struct()
    }

    fn serialize_tuple_struct(
        self,
        _: &'static str,
        _: usize,
    ) -> Result<Self::SerializeTupleStruct, S::Error> {
        not_a_struct()
    }

    fn serialize_tuple_variant(
        self,
        _: &'static str,
        _: u32,
        _: &'static str,
        _: usize,
    ) -> Result<Self::SerializeTupleVariant, S::Error> {
        not_a_struct()
    }

    fn serialize_map(self, _: Option<usize>) -> Result<Self::SerializeMap, S::Error> {
        not_a_struct()
    }

    fn serialize_struct_variant(
        self,
        _: &'static str,
        _: u32,
        _: &'static str,
        _: usize,
    ) -> Result<Self::SerializeStructVariant, S::Error> {
        not_a_struct()
    }
}
