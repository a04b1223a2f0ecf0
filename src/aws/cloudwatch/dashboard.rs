//! Dashboards, as rows of widgets.

use iotstack_core::{Construct, Expr, Handle, Name, Pseudo, Scope, object, text};

use super::CfnDashboard;
use super::alarm::{AlarmRef, Metric};

/// A dashboard. Widgets of a row share its width.
#[derive(Debug, Clone)]
pub struct Dashboard {
    /// The name, unique in the account.
    pub dashboard_name: String,
    /// Rows from top to bottom.
    pub rows: Vec<Vec<Widget>>,
}

/// A part of a dashboard.
#[derive(Debug, Clone)]
pub enum Widget {
    /// Markdown.
    Text(Expr),
    /// Lines over time.
    Graph {
        /// What is above it.
        title: String,
        /// What is drawn.
        metrics: Vec<Metric>,
    },
    /// The latest values as numbers.
    Numbers {
        /// What is above it.
        title: String,
        /// What is shown.
        metrics: Vec<Metric>,
    },
    /// Lines of whatever metrics a search finds.
    Search {
        /// What is above it.
        title: String,
        /// CloudWatch search expressions with their labels.
        expressions: Vec<(&'static str, String)>,
    },
    /// The state of alarms.
    Alarms {
        /// What is above it.
        title: String,
        /// Which.
        alarms: Vec<AlarmRef>,
    },
}

impl Construct for Dashboard {
    type Ref = DashboardRef;

    fn build(self, scope: &Scope) -> DashboardRef {
        let mut widgets = Vec::new();
        let mut top = 0;
        for row in self.rows {
            let width = WIDTH / row.len().max(1) as i64;
            let height = row.iter().map(Widget::height).max().unwrap_or(0);
            for (index, widget) in row.into_iter().enumerate() {
                let (kind, properties) = widget.into_parts();
                widgets.push(object! {
                    "type": kind,
                    "x": Expr::Int(index as i64 * width),
                    "y": Expr::Int(top),
                    "width": Expr::Int(width),
                    "height": Expr::Int(height),
                    "properties": properties,
                });
            }
            top += height;
        }
        let body = text_json(widgets);
        let dashboard = CfnDashboard::new(body).dashboard_name(self.dashboard_name);
        DashboardRef { dashboard: scope.resource("Resource", dashboard) }
    }
}

fn text_json(widgets: Vec<Expr>) -> Expr {
    iotstack_core::text::json_of(object! { "widgets": widgets })
}

impl Widget {
    fn height(&self) -> i64 {
        match self {
            Widget::Text(_) => 2,
            Widget::Numbers { .. } => 4,
            Widget::Alarms { .. } => 3,
            Widget::Graph { .. } | Widget::Search { .. } => 6,
        }
    }

    fn into_parts(self) -> (&'static str, Expr) {
        let lines =
            |metrics: Vec<Metric>| Expr::list(metrics.into_iter().map(Metric::for_dashboard));
        match self {
            Widget::Text(markdown) => ("text", object! { "markdown": markdown }),
            Widget::Graph { title, metrics } => (
                "metric",
                object! {
                    "title": title, "view": "timeSeries", "region": Pseudo::Region,
                    "metrics": lines(metrics),
                },
            ),
            Widget::Numbers { title, metrics } => (
                "metric",
                object! {
                    "title": title, "view": "singleValue", "region": Pseudo::Region,
                    "sparkline": true, "metrics": lines(metrics),
                },
            ),
            Widget::Search { title, expressions } => {
                let lines = expressions.into_iter().map(|(label, expression)| {
                    Expr::list([object! { "expression": expression, "label": label }])
                });
                (
                    "metric",
                    object! {
                        "title": title, "view": "timeSeries", "region": Pseudo::Region,
                        "metrics": Expr::list(lines),
                    },
                )
            }
            Widget::Alarms { title, alarms } => (
                "alarm",
                object! { "title": title, "alarms": Expr::list(alarms.iter().map(AlarmRef::arn)) },
            ),
        }
    }
}

/// What a [`Dashboard`] leaves in the hand.
#[derive(Debug, Clone)]
pub struct DashboardRef {
    dashboard: Handle<CfnDashboard>,
}

impl DashboardRef {
    /// The name.
    pub fn name(&self) -> Name<Dashboard> {
        Name::from_expr(self.dashboard.reference())
    }

    /// Where a browser finds it.
    pub fn url(&self) -> Expr {
        text!(
            "https://{}.console.aws.amazon.com/cloudwatch/home?region={}#dashboards:name={}",
            Pseudo::Region,
            Pseudo::Region,
            self.dashboard.reference()
        )
    }
}

/// CloudWatch's grid has 24 columns.
const WIDTH: i64 = 24;
