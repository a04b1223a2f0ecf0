//! L1 tables: what the generated resource types are made of.
//!
//! A generated file is three tables: resources, the objects inside them, and the
//! values that text may take. The macros here turn a line of a table into a typed
//! method over one ordered map of properties, which costs the compiler a fraction of
//! what a struct with a derived serializer would.
//!
//! A setter takes anything that becomes the property's type: a literal, a reference,
//! or an expression. What a schema does not know yet can be set by name with `set`;
//! a value that an enum does not have is written as `Expr::from("NEW")`.
//!
//! The tables make no checks beyond types: limits and patterns are the checker's.

use std::collections::BTreeMap;
use std::marker::PhantomData;

use crate::token::Intrinsic;
use crate::value::{Expr, Literal, Props, Text, Value};

/// A list property: its items may be late one by one, or the whole list may be.
#[derive(Debug, Clone, PartialEq)]
pub struct List<T>(Option<Expr>, PhantomData<fn() -> T>);

/// A property that maps names to values; each value may be late, or the whole map.
#[derive(Debug, Clone, PartialEq)]
pub struct Map<T>(Option<Expr>, PhantomData<fn() -> T>);

impl<T: Literal, I: Into<Value<T>>> From<Vec<I>> for List<T> {
    fn from(items: Vec<I>) -> Self {
        let items = items.into_iter().filter_map(|item| item.into().into_expr());
        List(Some(Expr::List(items.collect())), PhantomData)
    }
}

impl<T: Literal, I: Into<Value<T>>, const N: usize> From<[I; N]> for List<T> {
    fn from(items: [I; N]) -> Self {
        let items = items.into_iter().filter_map(|item| item.into().into_expr());
        List(Some(Expr::List(items.collect())), PhantomData)
    }
}

impl<T: Literal, K: Into<Text>, I: Into<Value<T>>> From<Vec<(K, I)>> for Map<T> {
    fn from(pairs: Vec<(K, I)>) -> Self {
        pairs.into_iter().collect()
    }
}

impl<T: Literal, K: Into<Text>, I: Into<Value<T>>, const N: usize> From<[(K, I); N]> for Map<T> {
    fn from(pairs: [(K, I); N]) -> Self {
        pairs.into_iter().collect()
    }
}

impl<T: Literal, K: Into<Text>, I: Into<Value<T>>> From<BTreeMap<K, I>> for Map<T> {
    fn from(pairs: BTreeMap<K, I>) -> Self {
        pairs.into_iter().collect()
    }
}

impl<T: Literal, I: Into<Value<T>>> FromIterator<I> for List<T> {
    fn from_iter<It: IntoIterator<Item = I>>(items: It) -> Self {
        items.into_iter().collect::<Vec<I>>().into()
    }
}

impl<T: Literal, K: Into<Text>, I: Into<Value<T>>> FromIterator<(K, I)> for Map<T> {
    fn from_iter<It: IntoIterator<Item = (K, I)>>(pairs: It) -> Self {
        let pairs = pairs
            .into_iter()
            .filter_map(|(key, value)| value.into().into_expr().map(|value| (key.into(), value)));
        Map(Some(Expr::Object(pairs.collect())), PhantomData)
    }
}

/// The conversions that lists and maps share.
macro_rules! collection {
    ($($name:ident),*) => {$(
        impl<T> $name<T> {
            /// Not set; AWS's default applies.
            pub const UNSET: Self = $name(None, PhantomData);
        }

        impl<T> From<Expr> for $name<T> {
            fn from(expr: Expr) -> Self {
                $name(Some(expr), PhantomData)
            }
        }

        impl<T> From<Intrinsic> for $name<T> {
            fn from(intrinsic: Intrinsic) -> Self {
                $name(Some(intrinsic.into()), PhantomData)
            }
        }

        impl<T, C: Into<$name<T>>> From<Option<C>> for $name<T> {
            fn from(collection: Option<C>) -> Self {
                collection.map_or($name::UNSET, Into::into)
            }
        }

        impl<T: Literal, C: Literal + Into<$name<T>>> From<Value<C>> for $name<T> {
            fn from(value: Value<C>) -> Self {
                $name(value.into_expr(), PhantomData)
            }
        }

        impl<T> Literal for $name<T> {
            fn into_expr(self) -> Expr {
                self.0.unwrap_or(Expr::Null)
            }
        }

        impl<T> Setting for $name<T> {
            fn setting(self) -> Option<Expr> {
                self.0
            }
        }
    )*};
}

collection!(List, Map);

/// What a property can be set to. The generated setters end here.
pub trait Setting {
    /// The expression, or nothing where the property is left out.
    fn setting(self) -> Option<Expr>;
}

impl<T: Literal> Setting for Value<T> {
    fn setting(self) -> Option<Expr> {
        self.into_expr()
    }
}

impl Setting for Expr {
    fn setting(self) -> Option<Expr> {
        Some(self)
    }
}

/// Whatever a property of type `V` can be set to: all that converts into `V`.
///
/// It exists for the sake of the compiler's message, which would otherwise list
/// conversions of [`Value`].
#[diagnostic::on_unimplemented(
    message = "this property cannot be set to `{Self}`",
    label = "expected something that converts into `{V}`",
    note = "a late value, or one that this version does not know, can be given as an `Expr`"
)]
pub trait Sets<V> {
    /// The value of the property.
    fn into_value(self) -> V;
}

#[diagnostic::do_not_recommend]
impl<V, T: Into<V>> Sets<V> for T {
    fn into_value(self) -> V {
        self.into()
    }
}

/// Sets a property unless it is left out.
pub fn put(properties: &mut Props, name: &'static str, value: impl Setting) {
    if let Some(expr) = value.setting() {
        properties.set(name, expr);
    }
}

/// One generated table, for whoever wants to know what can be set.
#[derive(Debug, Clone, Copy)]
pub struct Table {
    /// The resource type, such as `AWS::IoT::Thing`.
    pub resource_type: &'static str,
    /// Where in the resource the object is found first, with dots between names and
    /// `*` for any item; empty for the resource itself.
    pub path: &'static str,
    /// The names of the properties that have a setter.
    pub properties: &'static [&'static str],
}

/// Defines resources and `RESOURCES`, the list of their tables.
#[macro_export]
macro_rules! l1_resources {
    ($(
        $(#[$doc:meta])*
        $name:ident = $type:literal, $tagging:ident $(($tags:literal))?
        new($($required:ident = $required_name:literal: $required_type:ty),*)
        { $($setter:ident = $property:literal: $value:ty $(, $note:ident)?;)* }
        [$($constant:ident = $attribute:literal),*]
    )*) => {
        $(
            $(#[$doc])*
            #[derive(Debug, Clone, PartialEq)]
            pub struct $name($crate::Props);

            $crate::l1_setters! {
                $name new($($required = $required_name: $required_type),*)
                { $($setter = $property: $value $(, $note)?;)* }
            }

            impl $name {
                $(
                    #[doc = concat!("The attribute `", $attribute, "`.")]
                    pub const $constant: $crate::Attribute<Self> =
                        $crate::Attribute::new($attribute);
                )*
            }

            impl $crate::Resource for $name {
                const TYPE: &'static str = $type;
                const TAGGING: $crate::Tagging = $crate::Tagging::$tagging $(($tags))?;

                fn from_properties(properties: $crate::Props) -> Self {
                    Self(properties)
                }

                fn properties(&self) -> &$crate::Props {
                    &self.0
                }

                fn into_properties(self) -> $crate::Props {
                    self.0
                }
            }
        )*

        /// The resources of this service.
        pub const RESOURCES: &[$crate::l1::Table] = &[$(
            $crate::l1::Table {
                resource_type: $type,
                path: "",
                properties: $name::PROPERTIES,
            },
        )*];
    };
}

/// Defines the objects inside resources and `PROPERTY_TYPES`, the list of their tables.
#[macro_export]
macro_rules! l1_property_types {
    ($(
        $name:ident = $type:literal at $path:literal
        new($($required:ident = $required_name:literal: $required_type:ty),*)
        { $($setter:ident = $property:literal: $value:ty;)* }
    )*) => {
        $(
            #[doc = concat!("The object at `", $path, "` of `", $type, "`.")]
            #[derive(Debug, Clone, PartialEq)]
            pub struct $name($crate::Props);

            $crate::l1_setters! {
                $name new($($required = $required_name: $required_type),*)
                { $($setter = $property: $value;)* }
            }

            impl $crate::Literal for $name {
                fn into_expr(self) -> $crate::Expr {
                    $crate::Literal::into_expr(self.0)
                }
            }

            impl From<$name> for $crate::Expr {
                fn from(object: $name) -> $crate::Expr {
                    object.0.into()
                }
            }
        )*

        /// The objects inside this service's resources.
        pub const PROPERTY_TYPES: &[$crate::l1::Table] = &[$(
            $crate::l1::Table {
                resource_type: $type,
                path: $path,
                properties: $name::PROPERTIES,
            },
        )*];
    };
}

/// Defines what resources and the objects inside them have in common.
#[doc(hidden)]
#[macro_export]
macro_rules! l1_setters {
    (
        $name:ident
        new($($required:ident = $required_name:literal: $required_type:ty),*)
        { $($setter:ident = $property:literal: $value:ty $(, $note:ident)?;)* }
    ) => {
        impl $name {
            /// The names of all properties.
            pub const PROPERTIES: &'static [&'static str] = &[$($property),*];

            /// With the required properties only.
            #[allow(clippy::new_without_default, clippy::too_many_arguments)]
            #[must_use]
            pub fn new($($required: impl $crate::l1::Sets<$required_type>),*) -> Self {
                #[allow(unused_mut)]
                let mut properties = $crate::Props::new();
                $($crate::l1::put(&mut properties, $required_name, $required.into_value());)*
                Self(properties)
            }

            /// Sets a property by name, for what this version does not know.
            #[must_use]
            pub fn set(
                mut self,
                name: impl Into<$crate::Text>,
                value: impl Into<$crate::Expr>,
            ) -> Self {
                self.0.set(name, value);
                self
            }

            /// The properties, to be changed in place.
            pub fn properties_mut(&mut self) -> &mut $crate::Props {
                &mut self.0
            }

            $(
                #[doc = concat!("Sets `", $property, "`.")]
                $(#[doc = $crate::l1_note!($note)])?
                #[must_use]
                pub fn $setter(mut self, value: impl $crate::l1::Sets<$value>) -> Self {
                    $crate::l1::put(&mut self.0, $property, value.into_value());
                    self
                }
            )*
        }
    };
}

/// What a note of a table says in the documentation.
#[doc(hidden)]
#[macro_export]
macro_rules! l1_note {
    (replaces) => {
        "A change replaces the resource."
    };
    (may_replace) => {
        "A change may replace the resource."
    };
}

/// Defines the values that text may take.
#[macro_export]
macro_rules! l1_choices {
    ($($name:ident { $($variant:ident = $text:literal),* })*) => {$(
        #[doc = concat!("Values of text: ", $("`", $text, "` ",)* "in this version.")]
        #[derive(Debug, Clone, Copy, PartialEq, Eq)]
        #[non_exhaustive]
        pub enum $name {
            $(
                #[doc = concat!("`", $text, "`")]
                $variant,
            )*
        }

        impl $name {
            /// The text in a template.
            pub const fn as_str(self) -> &'static str {
                match self {
                    $(Self::$variant => $text,)*
                }
            }
        }

        impl $crate::Literal for $name {
            fn into_expr(self) -> $crate::Expr {
                $crate::Expr::Text($crate::Text::Borrowed(self.as_str()))
            }
        }

        impl From<$name> for $crate::Expr {
            fn from(choice: $name) -> $crate::Expr {
                $crate::Literal::into_expr(choice)
            }
        }
    )*};
}

/// A tag, as nearly every type takes them.
#[derive(Debug, Clone, PartialEq)]
pub struct CfnTag(Props);

crate::l1_setters! {
    CfnTag new(key = "Key": Value<String>, value = "Value": Value<String>)
    {
        key = "Key": Value<String>;
        value = "Value": Value<String>;
    }
}

impl Literal for CfnTag {
    fn into_expr(self) -> Expr {
        self.0.into_expr()
    }
}

impl From<CfnTag> for Expr {
    fn from(tag: CfnTag) -> Expr {
        tag.0.into()
    }
}

#[cfg(test)]
mod tests;
