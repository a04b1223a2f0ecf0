//! The acceptance: the ready stacks and the program before judges that are not ours.
//!
//! `templates` before the linters, `story` on a cloud from an empty account to signed
//! firmware and back, `cdk` beside the program of the AWS CDK, `interrupted` after
//! deployments that did not end well, `peers` as devices of others, `parity` beside another
//! cloud of this machine, `suites` under tests that others wrote; `live` is how they reach
//! the cloud. What single commands say and refuse is tested in the modules of the commands.

mod cdk;
mod interrupted;
pub mod live;
mod parity;
mod peers;
mod story;
mod suites;
mod templates;
