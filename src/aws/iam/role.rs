//! Roles: what services and functions act as.

use std::cell::RefCell;
use std::rc::Rc;

use iotstack_core::{Arn, Construct, Duration, Expr, Handle, Name, Pseudo, Scope, Value, text};

use super::grant::{Grant, Grantee};
use super::statement::{Condition, Effect, Principal, Statement, add_statement, document};
use super::{CfnPolicy, CfnRole};

/// A role.
///
/// ```
/// use iotstack_aws::iam::{Condition, Role, Service};
///
/// let presigner = Role {
///     trust_conditions: vec![Condition::source_account()],
///     ..Role::new(Service::IOT)
/// };
/// # let _ = presigner;
/// ```
#[derive(Debug, Clone, PartialEq)]
pub struct Role {
    /// Who may assume it.
    pub assumed_by: Vec<Principal>,
    /// What must hold when it is assumed.
    pub trust_conditions: Vec<Condition>,
    /// What it is for.
    pub description: Value<String>,
    /// The name in the account; CloudFormation makes one where none is given, and needs
    /// fewer rights to deploy.
    pub role_name: Value<String>,
    /// Names of AWS managed policies, such as
    /// `service-role/AWSLambdaVPCAccessExecutionRole`.
    pub managed_policies: Vec<String>,
    /// The longest session; one hour where nothing is said.
    pub max_session: Option<Duration>,
    /// The most that the role may ever do, as the ARN of a managed policy.
    pub permissions_boundary: Value<String>,
}

impl Role {
    /// A role that one service, account or role may assume.
    pub fn new(assumed_by: impl Into<Principal>) -> Self {
        Role {
            assumed_by: vec![assumed_by.into()],
            trust_conditions: Vec::new(),
            description: Value::Unset,
            role_name: Value::Unset,
            managed_policies: Vec::new(),
            max_session: None,
            permissions_boundary: Value::Unset,
        }
    }

    /// A role that exists already, in this account. Grants put a policy of this stack
    /// on it.
    pub fn from_name(scope: &Scope, id: &'static str, name: impl Into<String>) -> RoleRef {
        let name = Expr::from(name.into());
        let arn =
            text!("arn:{}:iam::{}:role/{}", Pseudo::Partition, Pseudo::AccountId, name.clone());
        RoleRef { scope: scope.child(id), arn, name, policy: Rc::default() }
    }
}

impl Construct for Role {
    type Ref = RoleRef;

    fn build(self, scope: &Scope) -> RoleRef {
        let trust = Statement {
            effect: Effect::Allow,
            actions: vec!["sts:AssumeRole".into()],
            principals: self.assumed_by,
            conditions: self.trust_conditions,
            ..Statement::default()
        };
        let mut role = CfnRole::new(document([trust]))
            .description(self.description)
            .role_name(self.role_name)
            .permissions_boundary(self.permissions_boundary);
        if !self.managed_policies.is_empty() {
            role = role.managed_policy_arns(Expr::list(
                self.managed_policies
                    .into_iter()
                    .map(|name| text!("arn:{}:iam::aws:policy/{}", Pseudo::Partition, name)),
            ));
        }
        if let Some(session) = self.max_session {
            role = role.max_session_duration(session.as_seconds() as i64);
        }
        let role = scope.resource("Resource", role);
        RoleRef {
            arn: role.attribute(CfnRole::ARN),
            name: role.reference(),
            scope: scope.clone(),
            policy: Rc::default(),
        }
    }
}

/// What a [`Role`] leaves in the hand.
#[derive(Debug, Clone)]
pub struct RoleRef {
    scope: Scope,
    arn: Expr,
    name: Expr,
    /// Made at the first grant, so that a role without grants has no empty policy.
    policy: Rc<RefCell<Option<Handle<CfnPolicy>>>>,
}

impl RoleRef {
    /// The ARN.
    pub fn arn(&self) -> Arn<Role> {
        Arn::from_expr(self.arn.clone())
    }

    /// The name in the account.
    pub fn name(&self) -> Name<Role> {
        Name::from_expr(self.name.clone())
    }

    /// The scope of the role and its policy: what depends on it is deployed when both
    /// are there.
    pub fn scope(&self) -> &Scope {
        &self.scope
    }

    /// Lets `grantee` hand this role to a service.
    pub fn grant_pass(&self, grantee: &impl Grantee, service: super::Service) -> Grant {
        grantee.allow(Statement {
            conditions: vec![Condition::new("StringEquals", "iam:PassedToService", service.0)],
            ..Statement::allow(["iam:PassRole"], [self.arn.clone()])
        })
    }
}

impl Grantee for RoleRef {
    fn allow(&self, statement: Statement) -> Grant {
        let mut policy = self.policy.borrow_mut();
        let policy = policy.get_or_insert_with(|| {
            let scope = self.scope.child("DefaultPolicy");
            let policy =
                CfnPolicy::new(document([]), policy_name(&scope)).roles([self.name.clone()]);
            scope.resource("Resource", policy)
        });
        policy.edit(|policy| add_statement(policy.properties_mut(), statement));
        Grant::new(policy.clone())
    }
}

/// CDK names a default policy after its logical id; so do we, for stacks taken over.
fn policy_name(scope: &Scope) -> String {
    let path = scope.path();
    let below_stack = scope.stack().map_or(0, |stack| stack.path().len() + 1);
    let mut components: Vec<&str> = path[below_stack..].split('/').collect();
    components.push("Resource");
    let mut name = iotstack_core::logical_id::logical_id(&components);
    // The end of a long name is what tells it from others.
    name.drain(..name.len().saturating_sub(LONGEST_POLICY_NAME));
    name
}

/// The longest name that IAM takes for a policy of a role.
const LONGEST_POLICY_NAME: usize = 128;
