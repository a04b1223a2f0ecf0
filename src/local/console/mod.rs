//! The console: the cloud in a browser, under `/_iotstack/console`.

use std::sync::Arc;

use axum::Router;

use crate::gateway::Gateway;

/// The routes of the console.
pub fn router() -> Router<Arc<Gateway>> {
    Router::new()
}
