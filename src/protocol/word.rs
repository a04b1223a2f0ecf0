//! Closed lists of words, as AWS spells them on the wire.
//!
//! One macro makes an enum whose variants each have exactly one spelling, used by
//! `Display`, `FromStr` and serde alike, so that a word is written down once.

/// Makes an enum of words with `as_str`, `ALL`, `Display`, `FromStr` and serde.
macro_rules! words {
    (
        $(#[$meta:meta])*
        pub enum $name:ident as $kind:literal {
            $( $(#[$variant_meta:meta])* $variant:ident = $word:literal, )+
        }
    ) => {
        $(#[$meta])*
        #[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
        #[derive(serde::Serialize, serde::Deserialize)]
        pub enum $name {
            $( $(#[$variant_meta])* #[serde(rename = $word)] $variant, )+
        }

        impl $name {
            /// Every word, in the order of the enum.
            pub const ALL: &'static [Self] = &[$( Self::$variant, )+];

            /// The word as it stands on the wire.
            pub const fn as_str(self) -> &'static str {
                match self { $( Self::$variant => $word, )+ }
            }
        }

        impl std::fmt::Display for $name {
            fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                f.write_str(self.as_str())
            }
        }

        impl std::str::FromStr for $name {
            type Err = $crate::Error;

            fn from_str(text: &str) -> $crate::Result<Self> {
                Self::ALL.iter().copied().find(|word| word.as_str() == text).ok_or_else(|| {
                    let expected = Self::ALL.iter().map(|word| word.as_str());
                    $crate::Error::UnknownWord {
                        kind: $kind,
                        value: text.to_owned(),
                        expected: expected.collect::<Vec<_>>().join(", "),
                    }
                })
            }
        }
    };
}

pub(crate) use words;
