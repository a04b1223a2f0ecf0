//! The states of a stack, and what deploying and destroying do in each.
//!
//! The table is two pure functions, [`on_deploy`] and [`on_destroy`], so that every
//! state can be tested and nobody else compares status texts. The functions say what
//! to do next; doing it, and reading the state again afterwards, is the callers' work.

use std::fmt;

/// Where a stack stands, in CloudFormation's words.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum StackStatus {
    /// Only change sets exist; no resource was made.
    ReviewInProgress,
    /// Being made.
    CreateInProgress,
    /// Failed while being made, and kept as it was (rollback switched off).
    CreateFailed,
    /// Made.
    CreateComplete,
    /// Failed while being made; what was made is being removed.
    RollbackInProgress,
    /// Failed while being made, and the removal failed too.
    RollbackFailed,
    /// Failed while being made; nothing is left but the record.
    RollbackComplete,
    /// Being deleted.
    DeleteInProgress,
    /// Deletion failed.
    DeleteFailed,
    /// Deleted.
    DeleteComplete,
    /// Being changed.
    UpdateInProgress,
    /// Changed; what was replaced is being removed.
    UpdateCompleteCleanupInProgress,
    /// Changed.
    UpdateComplete,
    /// Failed while being changed, and kept as it was (rollback switched off).
    UpdateFailed,
    /// Failed while being changed; being taken back.
    UpdateRollbackInProgress,
    /// Could not be taken back.
    UpdateRollbackFailed,
    /// Taken back; what the failed change made is being removed.
    UpdateRollbackCompleteCleanupInProgress,
    /// Taken back.
    UpdateRollbackComplete,
    /// Taking resources in.
    ImportInProgress,
    /// Took resources in.
    ImportComplete,
    /// Failed while taking resources in; being taken back.
    ImportRollbackInProgress,
    /// Could not be taken back after an import.
    ImportRollbackFailed,
    /// Taken back after an import.
    ImportRollbackComplete,
    /// A state that CloudFormation did not have when this was written.
    Other(String),
}

/// What deploying does next with a stack.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum DeployAction {
    /// Make a change set of type `CREATE`.
    Create,
    /// Delete the left-over change sets, then make a change set of type `CREATE`.
    CreateAfterReview,
    /// Make a change set of type `UPDATE`.
    Update,
    /// Follow what is running to its end, then look again.
    Wait,
    /// Follow the rollback to its end, then report its cause and stop.
    WaitForRollback,
    /// Delete the stack, with consent, then look again.
    Delete,
    /// Roll back to the last good state first, with consent; or, with rollback switched
    /// off, try the update again.
    RollBackOrRetry,
    /// Continue the rollback, with consent, then look again.
    ContinueRollback,
    /// Nothing that is known to be safe.
    Refuse,
}

/// What destroying does next with a stack.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum DestroyAction {
    /// It is gone already.
    Nothing,
    /// Delete it.
    Delete,
    /// Follow what is running to its end, then look again.
    Wait,
    /// Clear what stands in the way and delete again.
    Retry,
}

/// What deploying does next with a stack in `status`; `None` means that there is none.
pub fn on_deploy(status: Option<&StackStatus>) -> DeployAction {
    use StackStatus::*;
    match status {
        None | Some(DeleteComplete) => DeployAction::Create,
        Some(ReviewInProgress) => DeployAction::CreateAfterReview,
        Some(CreateInProgress | UpdateInProgress | ImportInProgress) => DeployAction::Wait,
        Some(UpdateCompleteCleanupInProgress | DeleteInProgress) => DeployAction::Wait,
        Some(RollbackInProgress | UpdateRollbackInProgress) => DeployAction::WaitForRollback,
        Some(UpdateRollbackCompleteCleanupInProgress | ImportRollbackInProgress) => {
            DeployAction::WaitForRollback
        }
        Some(CreateComplete | UpdateComplete | ImportComplete) => DeployAction::Update,
        Some(UpdateRollbackComplete | ImportRollbackComplete) => DeployAction::Update,
        Some(CreateFailed | UpdateFailed) => DeployAction::RollBackOrRetry,
        Some(RollbackComplete | RollbackFailed | DeleteFailed) => DeployAction::Delete,
        Some(UpdateRollbackFailed | ImportRollbackFailed) => DeployAction::ContinueRollback,
        Some(Other(name)) if name.ends_with("_IN_PROGRESS") => DeployAction::Wait,
        Some(Other(_)) => DeployAction::Refuse,
    }
}

/// What destroying does next with a stack in `status`; `None` means that there is none.
pub fn on_destroy(status: Option<&StackStatus>) -> DestroyAction {
    use StackStatus::*;
    match status {
        None | Some(DeleteComplete) => DestroyAction::Nothing,
        Some(DeleteFailed | RollbackFailed) => DestroyAction::Retry,
        Some(ReviewInProgress) => DestroyAction::Delete,
        Some(status) if status.is_in_progress() => DestroyAction::Wait,
        Some(_) => DestroyAction::Delete,
    }
}

impl StackStatus {
    /// Reads CloudFormation's word.
    pub fn parse(text: &str) -> Self {
        NAMES
            .iter()
            .find(|(_, name)| *name == text)
            .map_or_else(|| StackStatus::Other(text.to_owned()), |(status, _)| status.clone())
    }

    /// CloudFormation's word.
    pub fn as_str(&self) -> &str {
        match self {
            StackStatus::Other(name) => name,
            known => NAMES
                .iter()
                .find(|(status, _)| status == known)
                .map_or("UNKNOWN", |(_, name)| *name),
        }
    }

    /// Whether something is running. A stack under review waits for a person instead.
    pub fn is_in_progress(&self) -> bool {
        *self != StackStatus::ReviewInProgress && self.as_str().ends_with("_IN_PROGRESS")
    }

    /// Whether the stack is what its last change wanted it to be.
    pub fn is_success(&self) -> bool {
        use StackStatus::*;
        matches!(self, CreateComplete | UpdateComplete | ImportComplete | DeleteComplete)
    }

    /// Whether the last change was taken back, or is being taken back.
    pub fn is_rollback(&self) -> bool {
        self.as_str().contains("ROLLBACK")
    }

    /// The states that are known, for tests and documentation.
    pub fn known() -> impl Iterator<Item = StackStatus> {
        NAMES.iter().map(|(status, _)| status.clone())
    }
}

impl fmt::Display for StackStatus {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(self.as_str())
    }
}

const NAMES: [(StackStatus, &str); 23] = [
    (StackStatus::ReviewInProgress, "REVIEW_IN_PROGRESS"),
    (StackStatus::CreateInProgress, "CREATE_IN_PROGRESS"),
    (StackStatus::CreateFailed, "CREATE_FAILED"),
    (StackStatus::CreateComplete, "CREATE_COMPLETE"),
    (StackStatus::RollbackInProgress, "ROLLBACK_IN_PROGRESS"),
    (StackStatus::RollbackFailed, "ROLLBACK_FAILED"),
    (StackStatus::RollbackComplete, "ROLLBACK_COMPLETE"),
    (StackStatus::DeleteInProgress, "DELETE_IN_PROGRESS"),
    (StackStatus::DeleteFailed, "DELETE_FAILED"),
    (StackStatus::DeleteComplete, "DELETE_COMPLETE"),
    (StackStatus::UpdateInProgress, "UPDATE_IN_PROGRESS"),
    (StackStatus::UpdateCompleteCleanupInProgress, "UPDATE_COMPLETE_CLEANUP_IN_PROGRESS"),
    (StackStatus::UpdateComplete, "UPDATE_COMPLETE"),
    (StackStatus::UpdateFailed, "UPDATE_FAILED"),
    (StackStatus::UpdateRollbackInProgress, "UPDATE_ROLLBACK_IN_PROGRESS"),
    (StackStatus::UpdateRollbackFailed, "UPDATE_ROLLBACK_FAILED"),
    (
        StackStatus::UpdateRollbackCompleteCleanupInProgress,
        "UPDATE_ROLLBACK_COMPLETE_CLEANUP_IN_PROGRESS",
    ),
    (StackStatus::UpdateRollbackComplete, "UPDATE_ROLLBACK_COMPLETE"),
    (StackStatus::ImportInProgress, "IMPORT_IN_PROGRESS"),
    (StackStatus::ImportComplete, "IMPORT_COMPLETE"),
    (StackStatus::ImportRollbackInProgress, "IMPORT_ROLLBACK_IN_PROGRESS"),
    (StackStatus::ImportRollbackFailed, "IMPORT_ROLLBACK_FAILED"),
    (StackStatus::ImportRollbackComplete, "IMPORT_ROLLBACK_COMPLETE"),
];

#[cfg(test)]
mod tests {
    use super::*;

    /// The whole table once more, in CloudFormation's words.
    const TABLE: [(&str, DeployAction, DestroyAction); 25] = {
        use DeployAction as D;
        use DestroyAction as X;
        [
            ("REVIEW_IN_PROGRESS", D::CreateAfterReview, X::Delete),
            ("CREATE_IN_PROGRESS", D::Wait, X::Wait),
            ("CREATE_FAILED", D::RollBackOrRetry, X::Delete),
            ("CREATE_COMPLETE", D::Update, X::Delete),
            ("ROLLBACK_IN_PROGRESS", D::WaitForRollback, X::Wait),
            ("ROLLBACK_FAILED", D::Delete, X::Retry),
            ("ROLLBACK_COMPLETE", D::Delete, X::Delete),
            ("DELETE_IN_PROGRESS", D::Wait, X::Wait),
            ("DELETE_FAILED", D::Delete, X::Retry),
            ("DELETE_COMPLETE", D::Create, X::Nothing),
            ("UPDATE_IN_PROGRESS", D::Wait, X::Wait),
            ("UPDATE_COMPLETE_CLEANUP_IN_PROGRESS", D::Wait, X::Wait),
            ("UPDATE_COMPLETE", D::Update, X::Delete),
            ("UPDATE_FAILED", D::RollBackOrRetry, X::Delete),
            ("UPDATE_ROLLBACK_IN_PROGRESS", D::WaitForRollback, X::Wait),
            ("UPDATE_ROLLBACK_FAILED", D::ContinueRollback, X::Delete),
            ("UPDATE_ROLLBACK_COMPLETE_CLEANUP_IN_PROGRESS", D::WaitForRollback, X::Wait),
            ("UPDATE_ROLLBACK_COMPLETE", D::Update, X::Delete),
            ("IMPORT_IN_PROGRESS", D::Wait, X::Wait),
            ("IMPORT_COMPLETE", D::Update, X::Delete),
            ("IMPORT_ROLLBACK_IN_PROGRESS", D::WaitForRollback, X::Wait),
            ("IMPORT_ROLLBACK_FAILED", D::ContinueRollback, X::Delete),
            ("IMPORT_ROLLBACK_COMPLETE", D::Update, X::Delete),
            ("BRAND_NEW_IN_PROGRESS", D::Wait, X::Wait),
            ("BRAND_NEW", D::Refuse, X::Delete),
        ]
    };

    #[test]
    fn every_state_has_the_action_of_the_table() {
        for (name, deploy, destroy) in TABLE {
            let status = StackStatus::parse(name);
            assert_eq!(on_deploy(Some(&status)), deploy, "{name}");
            assert_eq!(on_destroy(Some(&status)), destroy, "{name}");
        }
        assert_eq!(on_deploy(None), DeployAction::Create);
        assert_eq!(on_destroy(None), DestroyAction::Nothing);
    }

    #[test]
    fn the_table_holds_every_known_state() {
        for status in StackStatus::known() {
            assert!(TABLE.iter().any(|(name, ..)| *name == status.as_str()), "{status}");
        }
    }

    #[test]
    fn reads_what_it_writes() {
        for (name, ..) in TABLE {
            assert_eq!(StackStatus::parse(name).to_string(), name);
        }
    }

    #[test]
    fn the_sdk_knows_no_state_that_the_table_does_not() {
        for name in aws_sdk_cloudformation::types::StackStatus::values() {
            assert!(!matches!(StackStatus::parse(name), StackStatus::Other(_)), "{name}");
        }
    }

    #[test]
    fn a_review_is_not_something_to_wait_for() {
        assert!(!StackStatus::ReviewInProgress.is_in_progress());
        assert!(StackStatus::UpdateRollbackCompleteCleanupInProgress.is_in_progress());
    }
}
