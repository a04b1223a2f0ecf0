//! Decisions that look random and are not.
//!
//! Every choice that a simulated device makes (does this image crash on it, how
//! long does it wait before it connects) is a function of the seed of the run, the
//! number of the device and the name of the choice. So one choice never shifts
//! another, devices need no generator of their own, and the same seed gives the
//! same run, whatever the order in which devices come to act.
//!
//! Not for keys: those come from the operating system.

/// The source of a run's decisions.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Dice {
    state: u64,
}

impl Dice {
    /// The dice of a run.
    pub fn new(seed: u64) -> Self {
        Dice { state: mix(seed ^ 0x5851_f42d_4c95_7f2d) }
    }

    /// The dice of one device, or of anything that has a number.
    pub fn of(self, number: u64) -> Self {
        Dice { state: mix(self.state ^ mix(number.wrapping_add(0x9e37_79b9_7f4a_7c15))) }
    }

    /// The dice of one choice.
    pub fn on(self, choice: &str) -> Self {
        // FNV-1a; the mixing afterwards makes up for its weakness in the low bits.
        let hash = choice.bytes().fold(0xcbf2_9ce4_8422_2325_u64, |hash, byte| {
            (hash ^ u64::from(byte)).wrapping_mul(0x0000_0100_0000_01b3)
        });
        Dice { state: mix(self.state ^ hash) }
    }

    /// A number in 0.0..1.0.
    pub fn fraction(self) -> f64 {
        // 53 bits are what a double holds exactly.
        (mix(self.state) >> 11) as f64 / (1_u64 << 53) as f64
    }

    /// Whether something of probability `rate` happens.
    pub fn happens(self, rate: f64) -> bool {
        self.fraction() < rate
    }

    /// A number below `limit`; 0 if there is no such number.
    pub fn below(self, limit: u64) -> u64 {
        // The product keeps the result below the limit without a remainder's bias.
        ((u128::from(mix(self.state)) * u128::from(limit)) >> 64) as u64
    }
}

/// The finalizer of SplitMix64: every bit of the input changes half of the output.
fn mix(value: u64) -> u64 {
    let value = value.wrapping_add(0x9e37_79b9_7f4a_7c15);
    let value = (value ^ (value >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    let value = (value ^ (value >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    value ^ (value >> 31)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_same_seed_decides_the_same() {
        let decide = |seed| -> Vec<u64> {
            (0..50).map(|n| Dice::new(seed).of(n).on("crash").below(1000)).collect()
        };
        assert_eq!(decide(7), decide(7));
        assert_ne!(decide(7), decide(8));
    }

    #[test]
    fn a_rate_is_met_on_average() {
        for rate in [0.0, 0.01, 0.5, 1.0] {
            let hits =
                (0..20_000).filter(|n| Dice::new(1).of(*n).on("x").happens(rate)).count() as f64;
            assert!((hits / 20_000.0 - rate).abs() < 0.01, "{rate}: {hits}");
        }
    }

    #[test]
    fn choices_of_one_device_are_independent() {
        let both = (0..10_000)
            .filter(|n| {
                let dice = Dice::new(3).of(*n);
                dice.on("a").happens(0.5) && dice.on("b").happens(0.5)
            })
            .count();
        assert!((2_200..2_800).contains(&both), "{both}");
    }

    #[test]
    fn stays_below_the_limit() {
        assert_eq!(Dice::new(1).below(0), 0);
        assert!((0..1000).all(|n| Dice::new(n).below(3) < 3));
    }
}
