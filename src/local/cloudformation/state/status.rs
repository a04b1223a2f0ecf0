//! The states of stacks and of resources, under AWS's names.
//!
//! Which state follows which is decided by the operations; here is only what every
//! caller asks of a state. Stacks have no states of imports: what a creation finds and
//! takes in is a part of the creation.

use serde::{Deserialize, Serialize};

macro_rules! states {
    ($(#[$about:meta])* $name:ident { $($state:ident = $text:literal,)* }) => {
        $(#[$about])*
        #[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
        pub enum $name {
            $(
                #[doc = concat!("`", $text, "`")]
                #[serde(rename = $text)]
                $state,
            )*
        }

        impl $name {
            /// AWS's name of it.
            pub fn as_str(self) -> &'static str {
                match self {
                    $($name::$state => $text,)*
                }
            }
        }
    };
}

states! {
    /// Where a stack stands.
    StackStatus {
        ReviewInProgress = "REVIEW_IN_PROGRESS",
        CreateInProgress = "CREATE_IN_PROGRESS",
        CreateFailed = "CREATE_FAILED",
        CreateComplete = "CREATE_COMPLETE",
        RollbackInProgress = "ROLLBACK_IN_PROGRESS",
        RollbackFailed = "ROLLBACK_FAILED",
        RollbackComplete = "ROLLBACK_COMPLETE",
        UpdateInProgress = "UPDATE_IN_PROGRESS",
        UpdateCompleteCleanupInProgress = "UPDATE_COMPLETE_CLEANUP_IN_PROGRESS",
        UpdateComplete = "UPDATE_COMPLETE",
        UpdateFailed = "UPDATE_FAILED",
        UpdateRollbackInProgress = "UPDATE_ROLLBACK_IN_PROGRESS",
        UpdateRollbackFailed = "UPDATE_ROLLBACK_FAILED",
        UpdateRollbackCompleteCleanupInProgress = "UPDATE_ROLLBACK_COMPLETE_CLEANUP_IN_PROGRESS",
        UpdateRollbackComplete = "UPDATE_ROLLBACK_COMPLETE",
        DeleteInProgress = "DELETE_IN_PROGRESS",
        DeleteFailed = "DELETE_FAILED",
        DeleteComplete = "DELETE_COMPLETE",
    }
}

states! {
    /// Where a resource stands.
    ResourceStatus {
        CreateInProgress = "CREATE_IN_PROGRESS",
        CreateFailed = "CREATE_FAILED",
        CreateComplete = "CREATE_COMPLETE",
        ImportInProgress = "IMPORT_IN_PROGRESS",
        ImportComplete = "IMPORT_COMPLETE",
        UpdateInProgress = "UPDATE_IN_PROGRESS",
        UpdateFailed = "UPDATE_FAILED",
        UpdateComplete = "UPDATE_COMPLETE",
        DeleteInProgress = "DELETE_IN_PROGRESS",
        DeleteFailed = "DELETE_FAILED",
        DeleteSkipped = "DELETE_SKIPPED",
        DeleteComplete = "DELETE_COMPLETE",
    }
}

impl StackStatus {
    /// Whether an operation runs. A stack under review waits for its first one.
    pub fn is_running(self) -> bool {
        self.as_str().ends_with("_IN_PROGRESS") && self != StackStatus::ReviewInProgress
    }

    /// Whether an update may begin: the stack stands as its last operation wanted
    /// it, or was left as it is after a failure on purpose.
    pub fn can_update(self) -> bool {
        use StackStatus::{
            CreateComplete, CreateFailed, UpdateComplete, UpdateFailed, UpdateRollbackComplete,
        };
        matches!(
            self,
            CreateComplete | UpdateComplete | UpdateRollbackComplete | CreateFailed | UpdateFailed
        )
    }

    /// Whether the stack was left after a failure on purpose.
    pub fn was_left(self) -> bool {
        matches!(self, StackStatus::CreateFailed | StackStatus::UpdateFailed)
    }
}

impl ResourceStatus {
    /// Whether the resource, or what is left of it, may exist in the account.
    pub fn exists(self) -> bool {
        !matches!(self, ResourceStatus::DeleteComplete | ResourceStatus::DeleteSkipped)
    }

    /// Whether the resource was there before the stack had it.
    pub fn is_import(self) -> bool {
        matches!(self, ResourceStatus::ImportInProgress | ResourceStatus::ImportComplete)
    }

    /// Whether the last change of the resource went wrong.
    pub fn has_failed(self) -> bool {
        self.as_str().ends_with("_FAILED")
    }
}
