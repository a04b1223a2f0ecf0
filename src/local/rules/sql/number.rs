//! Numbers of the rule SQL: whole numbers and decimals of 34 digits.
//!
//! Messages carry measurements, and 0.1 + 0.2 has to be 0.3, so decimals are held
//! in base ten: a coefficient of at most 34 digits and an exponent. Both fit a few
//! machine words, so reading a message allocates nothing for its numbers. Only
//! products, quotients and sums that outgrow 128 bits go through big integers.
//!
//! Trigonometry and the like are not here: those functions work on `f64`.

use std::cmp::Ordering;
use std::fmt;
use std::num::NonZeroU64;

use bigdecimal::num_bigint::BigInt;
use bigdecimal::{BigDecimal, RoundingMode};

/// How many digits a number keeps.
pub const DIGITS: u32 = 34;

/// A number in base ten: `coefficient * 10^exponent`, without trailing zeros.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Decimal {
    coefficient: i128,
    exponent: i32,
}

impl Decimal {
    /// Zero.
    pub const ZERO: Decimal = Decimal { coefficient: 0, exponent: 0 };

    /// A decimal from its parts; nothing if it is larger than 9.99E999.
    pub fn new(coefficient: i128, exponent: i32) -> Option<Decimal> {
        if coefficient == 0 {
            return Some(Decimal::ZERO);
        }
        let (mut coefficient, mut exponent) = (coefficient, exponent);
        if let Some(excess) = digits(coefficient).checked_sub(DIGITS).filter(|excess| *excess > 0) {
            // All at once: digit by digit, 0.449 would become 0.45 and then 0.5.
            let factor = 10i128.pow(excess);
            let rest = coefficient % factor;
            coefficient /= factor;
            if rest.unsigned_abs() >= factor.unsigned_abs() / 2 {
                coefficient += rest.signum();
            }
            exponent = exponent.checked_add(i32::try_from(excess).ok()?)?;
        }
        while coefficient % 10 == 0 {
            coefficient /= 10;
            exponent = exponent.checked_add(1)?;
        }
        let magnitude = exponent.checked_add(digits(coefficient) as i32 - 1)?;
        match magnitude {
            LEAST..=MOST => Some(Decimal { coefficient, exponent }),
            magnitude if magnitude < LEAST => Some(Decimal::ZERO),
            _ => None,
        }
    }

    /// A decimal from a whole number.
    pub fn from_int(value: i128) -> Decimal {
        // An i128 has at most 39 digits, far below the largest exponent.
        Decimal::new(value, 0).unwrap_or(Decimal::ZERO)
    }

    /// The decimal that prints like `value`; nothing for infinities and NaN.
    pub fn from_f64(value: f64) -> Option<Decimal> {
        if !value.is_finite() {
            return None;
        }
        Decimal::parse(&format!("{value:e}"))
    }

    /// Reads a number as JSON writes it: `-12`, `0.5`, `1.5e-7`.
    pub fn parse(text: &str) -> Option<Decimal> {
        let (negative, rest) = match text.strip_prefix('-') {
            Some(rest) => (true, rest),
            None => (false, text),
        };
        let (mantissa, exponent) = match rest.find(['e', 'E']) {
            Some(at) => {
                let power = &rest[at + 1..];
                let power = power.strip_prefix('+').unwrap_or(power);
                (&rest[..at], power.parse::<i32>().ok()?)
            }
            None => (rest, 0),
        };
        let (whole, fraction) = mantissa.split_once('.').unwrap_or((mantissa, ""));
        if whole.is_empty() && fraction.is_empty() {
            return None;
        }
        let mut coefficient: i128 = 0;
        let mut dropped: i32 = 0;
        for digit in whole.bytes().chain(fraction.bytes()) {
            if !digit.is_ascii_digit() {
                return None;
            }
            // Three digits more than are kept are enough to round correctly.
            if coefficient.unsigned_abs() >= TOO_LARGE * 100 {
                dropped = dropped.checked_add(1)?;
            } else {
                coefficient = coefficient * 10 + i128::from(digit - b'0');
            }
        }
        let places = i32::try_from(fraction.len()).ok()?;
        let exponent = exponent.checked_sub(places)?.checked_add(dropped)?;
        Decimal::new(if negative { -coefficient } else { coefficient }, exponent)
    }

    /// The nearest `f64`.
    pub fn to_f64(self) -> f64 {
        format!("{}e{}", self.coefficient, self.exponent).parse().unwrap_or(f64::NAN)
    }

    /// The whole number that this is, if it is one of at most 34 digits.
    pub fn whole(self) -> Option<i128> {
        if self.exponent < 0 {
            return None;
        }
        let factor = 10i128.checked_pow(u32::try_from(self.exponent).ok()?)?;
        self.coefficient.checked_mul(factor).filter(|value| fits(*value))
    }

    /// The whole number that `mode` makes of this, if it has at most 34 digits.
    pub fn round(self, mode: Rounding) -> Option<i128> {
        self.round_to(0, mode)?.whole()
    }

    /// This number with at most `places` digits after the point.
    pub fn round_to(self, places: i32, mode: Rounding) -> Option<Decimal> {
        let excess = -self.exponent - places;
        if excess <= 0 {
            return Some(self);
        }
        let sign = self.coefficient.signum();
        let Some(factor) = u32::try_from(excess).ok().and_then(|e| 10i128.checked_pow(e)) else {
            // All digits lie far behind the place that is kept.
            let step = match mode {
                Rounding::Floor if sign < 0 => -1,
                Rounding::Ceiling if sign > 0 => 1,
                _ => 0,
            };
            return Decimal::new(step, -places);
        };
        let (quotient, rest) = (self.coefficient / factor, self.coefficient % factor);
        let away = match mode {
            Rounding::Floor => rest < 0,
            Rounding::Ceiling => rest > 0,
            Rounding::Truncate => false,
            Rounding::HalfAway => rest.unsigned_abs() >= factor.unsigned_abs() / 2,
        };
        Decimal::new(quotient + if away && rest != 0 { sign } else { 0 }, -places)
    }

    /// The sum.
    pub fn plus(self, other: Decimal) -> Option<Decimal> {
        let low = self.exponent.min(other.exponent);
        match (self.scaled(low), other.scaled(low)) {
            (Some(a), Some(b)) => match a.checked_add(b) {
                Some(sum) => Decimal::new(sum, low),
                None => Decimal::from_big(self.big() + other.big()),
            },
            _ => Decimal::from_big(self.big() + other.big()),
        }
    }

    /// The difference.
    pub fn subtract(self, other: Decimal) -> Option<Decimal> {
        self.plus(other.negate())
    }

    /// The product.
    pub fn multiply(self, other: Decimal) -> Option<Decimal> {
        match self.coefficient.checked_mul(other.coefficient) {
            Some(product) => Decimal::new(product, self.exponent + other.exponent),
            None => Decimal::from_big(self.big() * other.big()),
        }
    }

    /// The quotient to 34 digits; nothing for a division by zero.
    pub fn divide(self, other: Decimal) -> Option<Decimal> {
        if other.coefficient == 0 {
            return None;
        }
        Decimal::from_big(self.big() / other.big())
    }

    /// What remains of a division; it has the sign of the dividend.
    pub fn remainder(self, other: Decimal) -> Option<Decimal> {
        if other.coefficient == 0 {
            return None;
        }
        let low = self.exponent.min(other.exponent);
        match (self.scaled(low), other.scaled(low)) {
            (Some(a), Some(b)) => Decimal::new(a % b, low),
            _ => Decimal::from_big(self.big() % other.big()),
        }
    }

    /// The square root; nothing for numbers below zero.
    pub fn square_root(self) -> Option<Decimal> {
        self.big().sqrt().and_then(Decimal::from_big)
    }

    /// The same number with the other sign.
    pub fn negate(self) -> Decimal {
        Decimal { coefficient: -self.coefficient, exponent: self.exponent }
    }

    /// The number without its sign.
    pub fn absolute(self) -> Decimal {
        Decimal { coefficient: self.coefficient.abs(), exponent: self.exponent }
    }

    /// -1, 0 or 1.
    pub fn sign(self) -> i128 {
        self.coefficient.signum()
    }

    fn scaled(self, exponent: i32) -> Option<i128> {
        let power = u32::try_from(self.exponent - exponent).ok()?;
        self.coefficient.checked_mul(10i128.checked_pow(power)?)
    }

    fn big(self) -> BigDecimal {
        BigDecimal::new(BigInt::from(self.coefficient), -i64::from(self.exponent))
    }

    fn from_big(value: BigDecimal) -> Option<Decimal> {
        let kept = NonZeroU64::new(u64::from(DIGITS))?;
        let (digits, scale) =
            value.with_precision_round(kept, RoundingMode::HalfEven).into_bigint_and_exponent();
        Decimal::new(i128::try_from(digits).ok()?, i32::try_from(-scale).ok()?)
    }
}

impl Ord for Decimal {
    fn cmp(&self, other: &Decimal) -> Ordering {
        let signs = self.sign().cmp(&other.sign());
        if signs != Ordering::Equal || self.coefficient == 0 {
            return signs;
        }
        let low = self.exponent.min(other.exponent);
        match (self.scaled(low), other.scaled(low)) {
            (Some(a), Some(b)) => a.cmp(&b),
            _ => {
                // So far apart that the place of the first digit decides.
                let place = |value: &Decimal| value.exponent + digits(value.coefficient) as i32;
                let order = place(self).cmp(&place(other));
                let order = order.then_with(|| self.big().abs().cmp(&other.big().abs()));
                if self.sign() < 0 { order.reverse() } else { order }
            }
        }
    }
}

impl PartialOrd for Decimal {
    fn partial_cmp(&self, other: &Decimal) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl fmt::Display for Decimal {
    /// Writes plain digits where that is short, else a power of ten.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let text = self.coefficient.unsigned_abs().to_string();
        let sign = if self.coefficient < 0 { "-" } else { "" };
        let point = text.len() as i32 + self.exponent;
        let zeros = |count: i32| "0".repeat(usize::try_from(count).unwrap_or(0));
        if self.exponent >= 0 && point <= DIGITS as i32 {
            write!(f, "{sign}{text}{}", zeros(self.exponent))
        } else if self.exponent < 0 && point > 0 {
            let (whole, fraction) = text.split_at(usize::try_from(point).unwrap_or(0));
            write!(f, "{sign}{whole}.{fraction}")
        } else if self.exponent < 0 && point > -6 {
            write!(f, "{sign}0.{}{text}", zeros(-point))
        } else {
            let (first, rest) = text.split_at(1);
            let dot = if rest.is_empty() { "" } else { "." };
            write!(f, "{sign}{first}{dot}{rest}E{}", point - 1)
        }
    }
}

/// What becomes of the digits that are not kept.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Rounding {
    /// Towards the smaller number.
    Floor,
    /// Towards the larger number.
    Ceiling,
    /// Towards zero.
    Truncate,
    /// To the nearest; a half goes away from zero.
    HalfAway,
}

/// Whether a whole number has at most 34 digits.
pub fn fits(value: i128) -> bool {
    value.unsigned_abs() < TOO_LARGE
}

fn digits(value: i128) -> u32 {
    value.unsigned_abs().checked_ilog10().map_or(1, |log| log + 1)
}

const TOO_LARGE: u128 = 10u128.pow(DIGITS);
const LEAST: i32 = -999;
const MOST: i32 = 999;

#[cfg(test)]
mod tests {
    use super::*;

    fn decimal(text: &str) -> Decimal {
        Decimal::parse(text).unwrap()
    }

    #[test]
    fn reads_and_prints_numbers() {
        for (text, printed) in [
            ("0", "0"),
            ("-0.0", "0"),
            ("12.50", "12.5"),
            ("0.001", "0.001"),
            ("1e3", "1000"),
            ("1E-999", "1E-999"),
            ("9.99E999", "9.99E999"),
            ("0.0000001", "1E-7"),
            ("1234567890123456789012345678901234567", "1.234567890123456789012345678901235E36"),
        ] {
            assert_eq!(decimal(text).to_string(), printed, "{text}");
        }
        // What is dropped is rounded once: 449 lies below the half.
        assert_eq!(
            decimal("1234567890123456789012345678901234449").to_string(),
            "1.234567890123456789012345678901234E36"
        );
        assert_eq!(
            Decimal::new(i128::MAX, 0).unwrap().to_string(),
            "1.701411834604692317316873037158841E38"
        );
        for text in ["", "-", "1e", "1E1000", "e5", "1.2.3", "0x1", "1e99999999999"] {
            assert_eq!(Decimal::parse(text), None, "{text}");
        }
    }

    #[test]
    fn calculates_in_base_ten() {
        assert_eq!(decimal("0.1").plus(decimal("0.2")).unwrap(), decimal("0.3"));
        assert_eq!(decimal("1").divide(decimal("4")).unwrap(), decimal("0.25"));
        assert_eq!(
            decimal("1").divide(decimal("3")).unwrap().to_string(),
            format!("0.{}", "3".repeat(34))
        );
        assert_eq!(decimal("1").divide(Decimal::ZERO), None);
        assert_eq!(decimal("1E999").multiply(decimal("10")), None);
        assert_eq!(decimal("1E-999").multiply(decimal("1E-5")).unwrap(), Decimal::ZERO);
        assert_eq!(decimal("1E999").plus(decimal("1E-999")).unwrap(), decimal("1E999"));
        assert_eq!(decimal("5.5").remainder(decimal("2")).unwrap(), decimal("1.5"));
        assert_eq!(decimal("-5.5").remainder(decimal("2")).unwrap(), decimal("-1.5"));
        assert_eq!(decimal("2.25").square_root().unwrap(), decimal("1.5"));
    }

    #[test]
    fn rounds_in_every_way() {
        for (text, floor, ceiling, truncate, half) in [
            ("1.5", 1, 2, 1, 2),
            ("-1.5", -2, -1, -1, -2),
            ("2.4", 2, 3, 2, 2),
            ("1E-500", 0, 1, 0, 0),
            ("-1E-500", -1, 0, 0, 0),
        ] {
            let value = decimal(text);
            assert_eq!(value.round(Rounding::Floor), Some(floor), "{text}");
            assert_eq!(value.round(Rounding::Ceiling), Some(ceiling), "{text}");
            assert_eq!(value.round(Rounding::Truncate), Some(truncate), "{text}");
            assert_eq!(value.round(Rounding::HalfAway), Some(half), "{text}");
        }
        assert_eq!(decimal("2.3123").round_to(2, Rounding::Truncate).unwrap(), decimal("2.31"));
    }

    #[test]
    fn orders_numbers_of_any_size() {
        let mut sorted = ["-1E999", "-2", "-1E-999", "0", "1E-999", "0.5", "2", "1E999"];
        let expected = sorted;
        sorted.sort_by_key(|text| decimal(text));
        assert_eq!(sorted, expected);
    }
}
