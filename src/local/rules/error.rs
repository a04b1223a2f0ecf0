//! Why a request about rules is refused, and AWS's codes for it.
//!
//! Failures of actions are not here: they belong to a message and go to the rule's
//! error action.

use iotstack_local_kernel::Fault;

use crate::sql::SqlError;

/// A refused request. The caller of the API can put each right.
#[derive(Debug, Clone, PartialEq, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// The statement, or a template in an action, cannot be read.
    #[error("{0}")]
    Sql(SqlError),
    /// A member of the rule is not acceptable.
    #[error("{0}")]
    Invalid(String),
    /// AWS offers this action, the local cloud does not.
    #[error("the rule action `{0}`")]
    NotOffered(String),
    /// There is a rule of this name.
    #[error("rule `{0}` exists already; a rule is changed by ReplaceTopicRule")]
    Exists(String),
    /// There is no rule of this name; AWS tells no more than that access is denied.
    #[error("access to topic rule `{0}` was denied")]
    Missing(String),
    /// The account has as many rules as it may have.
    #[error("the account has {0} rules, which is as many as it may have")]
    TooMany(usize),
}

impl From<SqlError> for Error {
    fn from(error: SqlError) -> Error {
        Error::Sql(error)
    }
}

impl From<Error> for Fault {
    fn from(error: Error) -> Fault {
        let message = error.to_string();
        match error {
            Error::Sql(_) => Fault::new("SqlParseException", 400, message),
            Error::Invalid(_) => Fault::new("InvalidRequestException", 400, message),
            Error::NotOffered(_) => Fault::not_implemented(message),
            Error::Exists(_) => Fault::new("ResourceAlreadyExistsException", 409, message),
            Error::Missing(_) => Fault::new("UnauthorizedException", 401, message),
            Error::TooMany(_) => Fault::new("LimitExceededException", 410, message),
        }
    }
}
