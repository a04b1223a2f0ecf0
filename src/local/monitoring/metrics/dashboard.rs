//! Dashboards: kept as they are, judged as far as a reader needs it.
//!
//! What a widget shows is not judged: whoever draws it finds out. The body comes back
//! byte for byte.

use iotstack_local_kernel::{Call, Commit, Fault, Reply, Timestamp, loose, page};
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use super::moment::Moments;
use super::{CloudWatch, DASHBOARDS, invalid};

/// A dashboard.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(super) struct Dashboard {
    pub(super) name: String,
    pub(super) body: String,
    pub(super) modified: Timestamp,
}

impl CloudWatch {
    fn dashboard_arn(&self, name: &str) -> String {
        self.account.global_arn("cloudwatch", format_args!("dashboard/{name}"))
    }

    pub(super) fn put_dashboard(&self, call: Call) -> Result<(Reply, Commit), Fault> {
        let name = loose::required(&call.input, "DashboardName")?;
        let body = loose::required(&call.input, "DashboardBody")?;
        let commit = self.keep_dashboard(name, body)?;
        Ok((json!({"DashboardValidationMessages": []}).into(), commit))
    }

    /// Makes or replaces a dashboard.
    pub(super) fn keep_dashboard(&self, name: String, body: String) -> Result<Commit, Fault> {
        let is_fit = |c: char| c.is_ascii_alphanumeric() || c == '-' || c == '_';
        if name.len() > 255 || !name.chars().all(is_fit) {
            return Err(refuse(
                "DashboardName",
                format!(
                    "dashboard `{name}` must be up to 255 letters, digits, hyphens and underscores"
                ),
            ));
        }
        judge(&body)?;
        let dashboard = Dashboard { name: name.clone(), body, modified: self.clock.now() };
        let mut dashboards = self.dashboards();
        let mut batch = self.store.batch();
        batch.put(DASHBOARDS, name.as_str(), &dashboard);
        dashboards.insert(name, dashboard);
        Ok(self.store.commit(batch))
    }

    pub(super) fn get_dashboard(&self, call: Call) -> Result<Reply, Fault> {
        let name = loose::required(&call.input, "DashboardName")?;
        let dashboards = self.dashboards();
        let found = dashboards.get(&name).ok_or_else(|| no_dashboard(&name))?;
        Ok(json!({
            "DashboardName": name,
            "DashboardArn": self.dashboard_arn(&name),
            "DashboardBody": found.body,
        })
        .into())
    }

    pub(super) fn list_dashboards(&self, call: Call) -> Result<Reply, Fault> {
        let moments = Moments::of(&call);
        let prefix = loose::text(&call.input, "DashboardNamePrefix")?.unwrap_or_default();
        let token = loose::text(&call.input, "NextToken")?;
        let dashboards = self.dashboards();
        let fitting = dashboards.values().filter(|dashboard| dashboard.name.starts_with(&prefix));
        let key = |dashboard: &&Dashboard| dashboard.name.clone();
        let (found, next) = page::page(fitting, key, token.as_deref(), 1000)?;
        let shown: Vec<Value> = found
            .into_iter()
            .map(|dashboard| {
                json!({
                    "DashboardName": dashboard.name,
                    "DashboardArn": self.dashboard_arn(&dashboard.name),
                    "LastModified": moments.show(dashboard.modified),
                    "Size": dashboard.body.len(),
                })
            })
            .collect();
        Ok(json!({"DashboardEntries": shown, "NextToken": next}).into())
    }

    pub(super) fn delete_dashboards(&self, call: Call) -> Result<(Reply, Commit), Fault> {
        let names = loose::texts(&call.input, "DashboardNames")?;
        if names.is_empty() {
            return Err(invalid("DashboardNames must not be empty"));
        }
        Ok((Reply::empty(), self.remove_dashboards(&names)?))
    }

    /// Removes dashboards, all or none.
    pub(super) fn remove_dashboards(&self, names: &[String]) -> Result<Commit, Fault> {
        let mut dashboards = self.dashboards();
        if let Some(missing) = names.iter().find(|name| !dashboards.contains_key(*name)) {
            return Err(no_dashboard(missing));
        }
        let mut batch = self.store.batch();
        for name in names {
            dashboards.remove(name);
            batch.remove(DASHBOARDS, name.as_str());
        }
        Ok(self.store.commit(batch))
    }
}

/// A body must be JSON with a list of widgets that have a type.
fn judge(body: &str) -> Result<(), Fault> {
    if body.len() > LARGEST_BODY {
        return Err(refuse("/", format!("the body has more than {LARGEST_BODY} bytes")));
    }
    let parsed: Value = serde_json::from_str(body)
        .map_err(|error| refuse("/", format!("the body is not JSON: {error}")))?;
    let Value::Object(members) = &parsed else {
        return Err(refuse("/", "the body must be a JSON object".to_owned()));
    };
    let widgets = match members.get("widgets") {
        None => return Ok(()),
        Some(Value::Array(widgets)) => widgets,
        Some(_) => return Err(refuse("/widgets", "widgets must be a list".to_owned())),
    };
    if widgets.len() > 500 {
        return Err(refuse("/widgets", "a dashboard has at most 500 widgets".to_owned()));
    }
    for (place, widget) in widgets.iter().enumerate() {
        let kind = widget.get("type").and_then(Value::as_str);
        if !kind.is_some_and(|kind| KINDS.contains(&kind)) {
            return Err(refuse(
                &format!("/widgets/{place}/type"),
                format!("the type of a widget must be one of {}", KINDS.join(", ")),
            ));
        }
        if !widget.get("properties").is_some_and(Value::is_object) {
            let message = "a widget must have properties".to_owned();
            return Err(refuse(&format!("/widgets/{place}/properties"), message));
        }
    }
    Ok(())
}

fn refuse(path: &str, message: String) -> Fault {
    let messages = json!([{"DataPath": path, "Message": message}]);
    Fault::new(
        "InvalidParameterInput",
        400,
        format!("the dashboard is not valid: {path}: {message}"),
    )
    .with("dashboardValidationMessages", messages)
}

fn no_dashboard(name: &str) -> Fault {
    Fault::new("ResourceNotFound", 404, format!("Dashboard {name} does not exist"))
}

const KINDS: &[&str] = &["metric", "text", "log", "alarm", "explorer", "custom"];
const LARGEST_BODY: usize = 1024 * 1024;
