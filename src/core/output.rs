//! Stack outputs: what a deployment tells its user, or other stacks.

use crate::condition::Condition;
use crate::tree::OutputData;
use crate::value::Expr;

/// A stack output.
///
/// Stacks of one app need no export by hand: a reference into another stack makes one.
#[derive(Debug, Clone)]
pub struct Output {
    /// The value.
    pub value: Expr,
    /// What it is.
    pub description: Option<String>,
    /// The name under which other stacks of the region can import it.
    pub export_name: Option<Expr>,
    /// Where the output exists at all.
    pub condition: Option<Condition>,
}

impl Default for Output {
    fn default() -> Self {
        Output { value: Expr::Null, description: None, export_name: None, condition: None }
    }
}

impl Output {
    pub(crate) fn into_data(self) -> OutputData {
        OutputData {
            value: self.value,
            description: self.description,
            export: self.export_name,
            condition: self.condition.map(|condition| condition.node()),
        }
    }
}
