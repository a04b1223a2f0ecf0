//! Rendering: one stack's nodes and tokens to a template.

use indexmap::IndexMap;
use iotstack_assembly::{Resource, Template};
use serde_json::{Map, Value, json};

use super::Plan;
use super::references::Target;
use crate::token::{Intrinsic, NodeRef};
use crate::tree::{Element, NodeId, OutputData, ResourceData, Tree};
use crate::value::{Expr, Text};

/// The template of `stack`.
pub(crate) fn template(tree: &Tree, plan: &Plan, stack: NodeId) -> Template {
    let renderer = Renderer { tree, plan, stack };
    let mut template = Template::default();
    if let Some(data) = tree.stack(stack) {
        template.description.clone_from(&data.stack.description);
        template.transform = match data.transforms.as_slice() {
            [] => None,
            [only] => Some(json!(only)),
            many => Some(json!(many)),
        };
    }
    for id in tree.below(stack) {
        let name = || plan.names.of(id).to_owned();
        match &tree.node(id).element {
            Element::Resource(data) => {
                template.resources.insert(name(), renderer.resource(id, data));
            }
            Element::Parameter(properties) => {
                let parameter = renderer.pairs(properties.iter());
                template.parameters.insert(name(), Value::Object(parameter));
            }
            Element::Condition(test) => {
                template.conditions.insert(name(), renderer.value(test));
            }
            Element::Mapping(entries) => {
                let entries = entries.iter().map(|(key, value)| (key.as_ref(), value));
                template.mappings.insert(name(), Value::Object(renderer.pairs(entries)));
            }
            Element::Output(data) => {
                template.outputs.insert(name(), renderer.output(data));
            }
            Element::App | Element::Stage | Element::Stack(_) | Element::Scope => {}
        }
    }
    renderer.exports(&mut template.outputs);
    template
}

struct Renderer<'a> {
    tree: &'a Tree,
    plan: &'a Plan,
    stack: NodeId,
}

impl Renderer<'_> {
    fn resource(&self, id: NodeId, data: &ResourceData) -> Resource {
        let mut resource = Resource::new(data.kind.clone());
        resource.properties = self.pairs(data.properties.iter());
        resource.depends_on = self.depends_on(id, data);
        resource.deletion_policy = data.deletion_policy.map(|policy| policy.word().to_owned());
        resource.update_replace_policy =
            data.update_replace_policy.map(|policy| policy.word().to_owned());
        if let Some(extra) = &data.extra {
            resource.condition =
                extra.condition.map(|condition| self.plan.names.of(condition).to_owned());
            resource.creation_policy = extra.creation_policy.as_ref().map(|expr| self.value(expr));
            resource.update_policy = extra.update_policy.as_ref().map(|expr| self.value(expr));
            resource.metadata = self.pairs(extra.metadata.iter().map(|(key, expr)| (&**key, expr)));
        }
        if self.writes_paths() {
            resource.metadata.insert("aws:cdk:path".into(), Value::String(self.tree.path(id)));
        }
        resource
    }

    /// The path helps people and tools to find the construct behind a resource; CDK's
    /// context key switches it off.
    fn writes_paths(&self) -> bool {
        self.tree.context.get("aws:cdk:enable-path-metadata") != Some(&Value::Bool(false))
    }

    /// A scope among the dependencies stands for every resource in it.
    fn depends_on(&self, id: NodeId, data: &ResourceData) -> Vec<String> {
        let mut names: Vec<String> = Vec::new();
        for target in &data.depends_on {
            for node in self.tree.below(*target) {
                let found = self.tree.node(node);
                let here = found.stack == Some(self.stack) && node != id;
                if here && matches!(found.element, Element::Resource(_)) {
                    names.push(self.plan.names.of(node).to_owned());
                }
            }
        }
        names.sort();
        names.dedup();
        names
    }

    fn output(&self, data: &OutputData) -> Value {
        let mut fields = Map::new();
        if let Some(description) = &data.description {
            fields.insert("Description".into(), json!(description));
        }
        fields.insert("Value".into(), self.value(&data.value));
        if let Some(name) = &data.export {
            fields.insert("Export".into(), json!({"Name": self.value(name)}));
        }
        if let Some(condition) = data.condition {
            fields.insert("Condition".into(), json!(self.plan.names.of(condition)));
        }
        Value::Object(fields)
    }

    /// Outputs for what other stacks need of this one.
    fn exports(&self, outputs: &mut IndexMap<String, Value>) {
        for (target, export) in self.plan.references.exports.get(&self.stack).into_iter().flatten()
        {
            let value = self.local(target.node, target.attribute.as_ref());
            outputs.insert(
                export.output_id.clone(),
                json!({"Value": value, "Export": {"Name": export.name}}),
            );
        }
    }

    fn pairs<'e>(&self, pairs: impl Iterator<Item = (&'e str, &'e Expr)>) -> Map<String, Value> {
        // What was left out stays out.
        pairs
            .filter(|(_, value)| !matches!(value, Expr::Null))
            .map(|(key, value)| (key.to_owned(), self.value(value)))
            .collect()
    }

    fn values<'e>(&self, items: impl IntoIterator<Item = &'e Expr>) -> Vec<Value> {
        items.into_iter().map(|item| self.value(item)).collect()
    }

    fn value(&self, expr: &Expr) -> Value {
        match expr {
            Expr::Null => Value::Null,
            Expr::Bool(value) => Value::Bool(*value),
            Expr::Int(value) => json!(value),
            Expr::Float(value) => json!(value),
            Expr::Text(text) => Value::String(text.clone().into_owned()),
            Expr::List(items) => Value::Array(self.values(items)),
            Expr::Object(pairs) => {
                Value::Object(self.pairs(pairs.iter().map(|(key, value)| (&**key, value))))
            }
            Expr::Late(intrinsic) => self.intrinsic(intrinsic),
        }
    }

    fn intrinsic(&self, intrinsic: &Intrinsic) -> Value {
        use Intrinsic as I;
        let name = |node: &NodeRef| self.plan.names.of(node.node);
        match intrinsic {
            I::Ref(target) => self.reference(target.node, None),
            I::RefName(name) => json!({"Ref": name}),
            I::Attribute(target, attribute) => self.reference(target.node, Some(attribute)),
            I::Pseudo(pseudo) => json!({"Ref": pseudo.name()}),
            I::Join(separator, parts) => {
                json!({"Fn::Join": [separator, self.values(parts)]})
            }
            I::JoinList(separator, list) => json!({"Fn::Join": [separator, self.value(list)]}),
            I::Select(index, list) => json!({"Fn::Select": [self.value(index), self.value(list)]}),
            I::Split(separator, text) => json!({"Fn::Split": [separator, self.value(text)]}),
            I::Sub(text, values) if values.is_empty() => json!({"Fn::Sub": text}),
            I::Sub(text, values) => json!({"Fn::Sub": [text, self.map(values)]}),
            I::FindInMap(mapping, first, second, default) => {
                let mut arguments =
                    vec![json!(name(mapping)), self.value(first), self.value(second)];
                arguments.extend(
                    default.as_ref().map(|default| json!({"DefaultValue": self.value(default)})),
                );
                json!({"Fn::FindInMap": arguments})
            }
            I::GetAzs(region) => json!({"Fn::GetAZs": self.value(region)}),
            I::ImportValue(export) => json!({"Fn::ImportValue": self.value(export)}),
            I::Base64(text) => json!({"Fn::Base64": self.value(text)}),
            I::Cidr(block, count, bits) => {
                json!({"Fn::Cidr": self.values([block, count].into_iter().chain(bits))})
            }
            I::If(condition, then, otherwise) => {
                json!({"Fn::If": [name(condition), self.value(then), self.value(otherwise)]})
            }
            I::Equals(left, right) => json!({"Fn::Equals": self.values([left, right])}),
            I::And(tests) => json!({"Fn::And": self.values(tests)}),
            I::Or(tests) => json!({"Fn::Or": self.values(tests)}),
            I::Not(test) => json!({"Fn::Not": [self.value(test)]}),
            I::Condition(condition) => json!({"Condition": name(condition)}),
            I::Transform(macro_name, parameters) => {
                json!({"Fn::Transform": {"Name": macro_name, "Parameters": self.map(parameters)}})
            }
            I::Length(list) => json!({"Fn::Length": self.value(list)}),
            I::ToJsonString(value) => json!({"Fn::ToJsonString": self.value(value)}),
            I::Json(document) => self.value(&json_text(document)),
            I::LogicalId(node) => json!(name(node)),
        }
    }

    fn map(&self, pairs: &[(Text, Expr)]) -> Map<String, Value> {
        pairs.iter().map(|(key, value)| (key.clone().into_owned(), self.value(value))).collect()
    }

    fn reference(&self, node: NodeId, attribute: Option<&Text>) -> Value {
        match self.tree.node(node).stack {
            Some(other) if other != self.stack => {
                let target = Target { node, attribute: attribute.cloned() };
                let exports = self.plan.references.exports.get(&other);
                let export = exports.and_then(|exports| exports.get(&target));
                json!({"Fn::ImportValue": export.map(|export| &export.name)})
            }
            _ => self.local(node, attribute),
        }
    }

    fn local(&self, node: NodeId, attribute: Option<&Text>) -> Value {
        let id = self.plan.names.of(node);
        match attribute {
            None => json!({"Ref": id}),
            Some(attribute) => json!({"Fn::GetAtt": [id, attribute]}),
        }
    }
}

/// JSON text with the late values joined in. A late value stands where text stands, so
/// it is put between quotes; names and ARNs need no escaping.
fn json_text(document: &Expr) -> Expr {
    let mut parts = Vec::new();
    append_json(document, &mut parts);
    crate::text::concat(parts)
}

fn append_json(expr: &Expr, parts: &mut Vec<Expr>) {
    let mut literal = |text: String| parts.push(Expr::Text(Text::Owned(text)));
    match expr {
        Expr::Null => literal("null".into()),
        Expr::Bool(value) => literal(value.to_string()),
        Expr::Int(value) => literal(value.to_string()),
        Expr::Float(value) => literal(json!(value).to_string()),
        Expr::Text(text) => literal(Value::String(text.clone().into_owned()).to_string()),
        Expr::List(items) => {
            literal("[".into());
            for (index, item) in items.iter().enumerate() {
                append_separator(index, parts);
                append_json(item, parts);
            }
            parts.push(Expr::Text("]".into()));
        }
        Expr::Object(pairs) => {
            literal("{".into());
            let pairs = pairs.iter().filter(|(_, value)| !matches!(value, Expr::Null));
            for (index, (key, value)) in pairs.enumerate() {
                append_separator(index, parts);
                let key = Value::String(key.clone().into_owned()).to_string();
                parts.push(Expr::Text(Text::Owned(key + ":")));
                append_json(value, parts);
            }
            parts.push(Expr::Text("}".into()));
        }
        Expr::Late(intrinsic) => match &**intrinsic {
            // Text with late parts: its literal parts are escaped like any other text.
            Intrinsic::Join(separator, inner) if separator.is_empty() => {
                parts.push(Expr::Text("\"".into()));
                for part in inner {
                    parts.push(match part {
                        Expr::Text(text) => {
                            let quoted = Value::String(text.clone().into_owned()).to_string();
                            Expr::Text(Text::Owned(quoted[1..quoted.len() - 1].to_owned()))
                        }
                        late => late.clone(),
                    });
                }
                parts.push(Expr::Text("\"".into()));
            }
            _ => parts.extend([Expr::Text("\"".into()), expr.clone(), Expr::Text("\"".into())]),
        },
    }
}

fn append_separator(index: usize, parts: &mut Vec<Expr>) {
    if index > 0 {
        parts.push(Expr::Text(",".into()));
    }
}
