//! Log groups.

use iotstack_core::{Arn, Construct, DeletionPolicy, Duration, Expr, Name, Scope, Value};

use super::CfnLogGroup;
use crate::iam::{Grant, Grantee, Statement};
use crate::s3::Removal;

/// A log group that forgets in time.
#[derive(Debug, Clone)]
pub struct LogGroup {
    /// The name; CloudFormation makes one where none is given.
    pub log_group_name: Value<String>,
    /// How long events are kept. CloudWatch takes certain numbers of days only; the next
    /// longer one is used.
    pub retention: Duration,
    /// What happens to the logs when the group leaves the stack: deleted where nothing
    /// is said.
    pub removal: Removal,
}

impl Default for LogGroup {
    fn default() -> Self {
        LogGroup {
            log_group_name: Value::Unset,
            retention: Duration::days(30),
            removal: Removal::Delete,
        }
    }
}

impl Construct for LogGroup {
    type Ref = LogGroupRef;

    fn build(self, scope: &Scope) -> LogGroupRef {
        let group = CfnLogGroup::new()
            .log_group_name(self.log_group_name)
            .retention_in_days(retention_days(self.retention));
        let group = scope.resource("Resource", group);
        group.removal_policy(DeletionPolicy::from(self.removal));
        LogGroupRef { name: group.reference(), arn: group.attribute(CfnLogGroup::ARN) }
    }
}

/// What a [`LogGroup`] leaves in the hand.
#[derive(Debug, Clone)]
pub struct LogGroupRef {
    name: Expr,
    arn: Expr,
}

impl LogGroupRef {
    /// The name.
    pub fn name(&self) -> Name<LogGroup> {
        Name::from_expr(self.name.clone())
    }

    /// The ARN, which ends in `:*` as CloudWatch Logs gives it.
    pub fn arn(&self) -> Arn<LogGroup> {
        Arn::from_expr(self.arn.clone())
    }

    /// Lets `to` make streams in the group and write events.
    pub fn grant_write(&self, to: &impl Grantee) -> Grant {
        to.allow(Statement::allow(
            ["logs:CreateLogStream", "logs:PutLogEvents"],
            [self.arn.clone()],
        ))
    }
}

/// The shortest retention that CloudWatch Logs offers and that is long enough.
fn retention_days(wanted: Duration) -> i64 {
    let wanted = wanted.as_days() as i64;
    RETENTIONS.into_iter().find(|offered| *offered >= wanted).unwrap_or(3653)
}

const RETENTIONS: [i64; 22] = [
    1, 3, 5, 7, 14, 30, 60, 90, 120, 150, 180, 365, 400, 545, 731, 1096, 1827, 2192, 2557, 2922,
    3288, 3653,
];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn takes_the_next_longer_retention() {
        assert_eq!(retention_days(Duration::days(30)), 30);
        assert_eq!(retention_days(Duration::days(31)), 60);
        assert_eq!(retention_days(Duration::days(5_000)), 3653);
    }
}
