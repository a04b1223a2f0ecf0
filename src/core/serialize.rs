//! From anything that serializes to an expression.
//!
//! Documents such as job documents and dashboards are plain Rust data in which a late
//! value may stand. Serde has no word for "late", so an [`Expr`] puts itself into a
//! thread-local list and serializes as a newtype with a reserved name around its place
//! in the list; only the serializer in this file understands that name. Any other
//! serializer gets an error, so that a late value never turns into a silent number.

use std::cell::{Cell, RefCell};
use std::fmt;

use serde::ser::{self, Serialize, Serializer};

use crate::token::{Arn, Name};
use crate::value::{Expr, Text, Value, number};

/// The document as an expression.
///
/// A document that cannot be JSON (a map whose keys are no text) becomes `null` at that
/// place; types that people derive cannot do that.
pub(crate) fn to_expr(document: &impl Serialize) -> Expr {
    let outer = ACTIVE.replace(true);
    let expr = document.serialize(ExprSerializer).unwrap_or(Expr::Null);
    ACTIVE.set(outer);
    if !outer {
        LATE.with_borrow_mut(Vec::clear);
    }
    expr
}

const RESERVED: &str = "$iotstack::late";

thread_local! {
    static ACTIVE: Cell<bool> = const { Cell::new(false) };
    static LATE: RefCell<Vec<Expr>> = const { RefCell::new(Vec::new()) };
}

impl Serialize for Expr {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match self {
            Expr::Null => serializer.serialize_unit(),
            Expr::Bool(value) => serializer.serialize_bool(*value),
            Expr::Int(value) => serializer.serialize_i64(*value),
            Expr::Float(value) => serializer.serialize_f64(*value),
            Expr::Text(text) => serializer.serialize_str(text),
            Expr::List(items) => serializer.collect_seq(items),
            Expr::Object(pairs) => {
                // What was left out stays out.
                let there = pairs.iter().filter(|(_, value)| !matches!(value, Expr::Null));
                serializer.collect_map(there.map(|(key, value)| (key, value)))
            }
            Expr::Late(_) if !ACTIVE.get() => Err(ser::Error::custom(
                "a late value can only be written into a template; use `text::json`",
            )),
            Expr::Late(_) => {
                let index = LATE.with_borrow_mut(|late| {
                    late.push(self.clone());
                    late.len() - 1
                });
                serializer.serialize_newtype_struct(RESERVED, &(index as u64))
            }
        }
    }
}

impl<T: Serialize> Serialize for Value<T> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match self {
            Value::Unset => serializer.serialize_unit(),
            Value::Literal(value) => value.serialize(serializer),
            Value::Token(expr) => expr.serialize(serializer),
        }
    }
}

impl<R> Serialize for Arn<R> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        self.expr().serialize(serializer)
    }
}

impl<R> Serialize for Name<R> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        self.expr().serialize(serializer)
    }
}

#[derive(Clone, Copy)]
struct ExprSerializer;

/// A sequence or an object under construction.
struct Items(Vec<Expr>, Option<&'static str>);
struct Pairs(Vec<(Text, Expr)>, Option<Text>, Option<&'static str>);

#[derive(Debug)]
struct NotJson(String);

impl fmt::Display for NotJson {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(&self.0)
    }
}

impl std::error::Error for NotJson {}

impl ser::Error for NotJson {
    fn custom<T: fmt::Display>(message: T) -> Self {
        NotJson(message.to_string())
    }
}

type Outcome = Result<Expr, NotJson>;

/// A variant with data is an object of one key, as serde_json writes it.
fn tagged(variant: Option<&'static str>, content: Expr) -> Expr {
    match variant {
        Some(name) => Expr::object([(name, content)]),
        None => content,
    }
}

macro_rules! integers {
    ($($method:ident: $type:ty),*) => {$(
        fn $method(self, value: $type) -> Outcome {
            Ok(i64::try_from(value).map_or(Expr::Float(value as f64), Expr::Int))
        }
    )*};
}

impl Serializer for ExprSerializer {
    type Ok = Expr;
    type Error = NotJson;
    type SerializeSeq = Items;
    type SerializeTuple = Items;
    type SerializeTupleStruct = Items;
    type SerializeTupleVariant = Items;
    type SerializeMap = Pairs;
    type SerializeStruct = Pairs;
    type SerializeStructVariant = Pairs;

    integers!(serialize_i8: i8, serialize_i16: i16, serialize_i32: i32, serialize_i64: i64,
        serialize_u8: u8, serialize_u16: u16, serialize_u32: u32, serialize_u64: u64);

    fn serialize_bool(self, value: bool) -> Outcome {
        Ok(Expr::Bool(value))
    }

    fn serialize_f32(self, value: f32) -> Outcome {
        Ok(number(value.into()))
    }

    fn serialize_f64(self, value: f64) -> Outcome {
        Ok(number(value))
    }

    fn serialize_char(self, value: char) -> Outcome {
        Ok(Expr::Text(value.to_string().into()))
    }

    fn serialize_str(self, value: &str) -> Outcome {
        Ok(Expr::Text(value.to_owned().into()))
    }

    fn serialize_bytes(self, value: &[u8]) -> Outcome {
        Ok(value.to_vec().into())
    }

    fn serialize_none(self) -> Outcome {
        Ok(Expr::Null)
    }

    fn serialize_some<T: Serialize + ?Sized>(self, value: &T) -> Outcome {
        value.serialize(self)
    }

    fn serialize_unit(self) -> Outcome {
        Ok(Expr::Null)
    }

    fn serialize_unit_struct(self, _: &'static str) -> Outcome {
        Ok(Expr::Null)
    }

    fn serialize_unit_variant(self, _: &'static str, _: u32, variant: &'static str) -> Outcome {
        Ok(Expr::Text(variant.into()))
    }

    fn serialize_newtype_struct<T: Serialize + ?Sized>(
        self,
        name: &'static str,
        value: &T,
    ) -> Outcome {
        let inner = value.serialize(self)?;
        match inner {
            Expr::Int(index) if name == RESERVED => LATE
                .with_borrow(|late| late.get(index as usize).cloned())
                .ok_or_else(|| NotJson("a late value was lost".into())),
            other => Ok(other),
        }
    }

    fn serialize_newtype_variant<T: Serialize + ?Sized>(
        self,
        _: &'static str,
        _: u32,
        variant: &'static str,
        value: &T,
    ) -> Outcome {
        Ok(tagged(Some(variant), value.serialize(self)?))
    }

    fn serialize_seq(self, length: Option<usize>) -> Result<Items, NotJson> {
        Ok(Items(Vec::with_capacity(length.unwrap_or_default()), None))
    }

    fn serialize_tuple(self, length: usize) -> Result<Items, NotJson> {
        self.serialize_seq(Some(length))
    }

    fn serialize_tuple_struct(self, _: &'static str, length: usize) -> Result<Items, NotJson> {
        self.serialize_seq(Some(length))
    }

    fn serialize_tuple_variant(
        self,
        _: &'static str,
        _: u32,
        variant: &'static str,
        length: usize,
    ) -> Result<Items, NotJson> {
        Ok(Items(Vec::with_capacity(length), Some(variant)))
    }

    fn serialize_map(self, _: Option<usize>) -> Result<Pairs, NotJson> {
        Ok(Pairs(Vec::new(), None, None))
    }

    fn serialize_struct(self, _: &'static str, _: usize) -> Result<Pairs, NotJson> {
        self.serialize_map(None)
    }

    fn serialize_struct_variant(
        self,
        _: &'static str,
        _: u32,
        variant: &'static str,
        _: usize,
    ) -> Result<Pairs, NotJson> {
        Ok(Pairs(Vec::new(), None, Some(variant)))
    }
}

/// The four kinds of sequence differ in the name of one method.
macro_rules! items {
    ($($trait:ident $method:ident),*) => {$(
        impl ser::$trait for Items {
            type Ok = Expr;
            type Error = NotJson;

            fn $method<T: Serialize + ?Sized>(&mut self, value: &T) -> Result<(), NotJson> {
                self.0.push(value.serialize(ExprSerializer)?);
                Ok(())
            }

            fn end(self) -> Outcome {
                Ok(tagged(self.1, Expr::List(self.0)))
            }
        }
    )*};
}

items!(
    SerializeSeq serialize_element,
    SerializeTuple serialize_element,
    SerializeTupleStruct serialize_field,
    SerializeTupleVariant serialize_field
);

macro_rules! fields {
    ($($trait:ident),*) => {$(
        impl ser::$trait for Pairs {
            type Ok = Expr;
            type Error = NotJson;

            fn serialize_field<T: Serialize + ?Sized>(
                &mut self,
                key: &'static str,
                value: &T,
            ) -> Result<(), NotJson> {
                self.0.push((key.into(), value.serialize(ExprSerializer)?));
                Ok(())
            }

            fn end(self) -> Outcome {
                Ok(tagged(self.2, Expr::Object(self.0)))
            }
        }
    )*};
}

fields!(SerializeStruct, SerializeStructVariant);

impl ser::SerializeMap for Pairs {
    type Ok = Expr;
    type Error = NotJson;

    fn serialize_key<T: Serialize + ?Sized>(&mut self, key: &T) -> Result<(), NotJson> {
        self.1 = Some(match key.serialize(ExprSerializer)? {
            Expr::Text(text) => text,
            Expr::Int(number) => number.to_string().into(),
            _ => return Err(NotJson("a map's keys must be text".into())),
        });
        Ok(())
    }

    fn serialize_value<T: Serialize + ?Sized>(&mut self, value: &T) -> Result<(), NotJson> {
        let key = self.1.take().unwrap_or_default();
        self.0.push((key, value.serialize(ExprSerializer)?));
        Ok(())
    }

    fn end(self) -> Outcome {
        Ok(Expr::Object(self.0))
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use serde::Serialize;

    use super::{Expr, to_expr};
    use crate::Pseudo;

    #[derive(Serialize)]
    struct Document {
        steps: Vec<u8>,
        region: Expr,
        #[serde(skip_serializing_if = "Option::is_none")]
        note: Option<String>,
    }

    #[test]
    fn whole_numbers_have_no_fraction() {
        assert_eq!(to_expr(&(1.0_f64, 1.5_f64, 1e300)), {
            Expr::List(vec![Expr::Int(1), Expr::Float(1.5), Expr::Float(1e300)])
        });
        assert_eq!(Expr::from(-3.0), Expr::Int(-3));
        assert_eq!(Expr::from(serde_json::json!(2.0)), Expr::Int(2));
    }

    #[test]
    fn late_values_keep_their_place() {
        let document = Document { steps: vec![1, 2], region: Pseudo::Region.into(), note: None };
        let expected = Expr::object([
            ("steps", Expr::List(vec![Expr::Int(1), Expr::Int(2)])),
            ("region", Pseudo::Region.into()),
        ]);
        assert_eq!(to_expr(&document), expected);
    }

    #[derive(Serialize)]
    enum Shape {
        Unit,
        Newtype(u8),
        Tuple(u8, bool),
        Struct { side: i64 },
    }

    #[derive(Serialize)]
    struct Pair(u8, char);

    #[derive(Serialize)]
    struct Wrapped(&'static str);

    #[derive(Serialize)]
    struct Empty;

    #[derive(Serialize)]
    struct Everything {
        whole: (i8, i16, i32, i64, u8, u16, u32, u64),
        huge: u64,
        fraction: f64,
        text: &'static str,
        some: Option<bool>,
        none: Option<bool>,
        unit: (),
        empty: Empty,
        pair: Pair,
        wrapped: Wrapped,
        shapes: Vec<Shape>,
        named: BTreeMap<&'static str, u8>,
        numbered: BTreeMap<u16, &'static str>,
    }

    #[test]
    fn literal_data_becomes_what_serde_json_makes_of_it() {
        let everything = Everything {
            whole: (-1, -2, -3, i64::MIN, 1, 2, 3, 4),
            huge: u64::MAX,
            fraction: 0.5,
            text: "a \"b\"",
            some: Some(true),
            none: None,
            unit: (),
            empty: Empty,
            pair: Pair(7, 'x'),
            wrapped: Wrapped("w"),
            shapes: vec![
                Shape::Unit,
                Shape::Newtype(1),
                Shape::Tuple(2, false),
                Shape::Struct { side: 3 },
            ],
            named: BTreeMap::from([("one", 1)]),
            numbered: BTreeMap::from([(2, "two")]),
        };
        let json = serde_json::to_value(&everything).unwrap();
        assert_eq!(to_expr(&everything), Expr::from(json));
    }

    #[test]
    fn an_expression_serializes_as_the_json_it_is() {
        let expr = Expr::object([
            ("list", Expr::list([1, 2])),
            ("object", Expr::object([("a", Expr::Bool(true)), ("b", Expr::Null)])),
        ]);
        let text = serde_json::to_string(&expr).unwrap();
        assert_eq!(text, r#"{"list":[1,2],"object":{"a":true}}"#);
    }

    #[test]
    fn other_serializers_refuse_late_values() {
        let document = Document { steps: vec![], region: Pseudo::Region.into(), note: None };
        let error = serde_json::to_string(&document).unwrap_err().to_string();
        assert!(error.contains("a late value can only be written into a template"), "{error}");
    }
}
