//! Stacks, change sets and events, as CloudFormation keeps them.
//!
//! A running operation is a list of steps that are still to come; each look at the stack
//! takes the next one. What CloudFormation refuses in a state is refused here too, so
//! that a wrong order of calls fails the test.

use std::collections::VecDeque;

use serde_json::Value;

use super::ACCOUNT;
use super::wire::{Answer, Call, escape, members, tag};

#[derive(Debug, Default)]
pub struct Stacks {
    pub all: Vec<Stack>,
    made: usize,
}

#[derive(Debug, Clone, Default)]
pub struct Stack {
    pub name: String,
    pub id: String,
    pub status: String,
    pub template: Value,
    /// The resources that exist, with their state.
    pub resources: Vec<(String, String)>,
    pub change_sets: Vec<ChangeSet>,
    pub events: Vec<Event>,
    pub protected: bool,
    /// How often a change was executed.
    pub executions: usize,
    steps: VecDeque<Step>,
}

#[derive(Debug, Clone)]
pub struct ChangeSet {
    name: String,
    template: Value,
    empty: bool,
    looks: usize,
}

#[derive(Debug, Clone)]
pub struct Event {
    pub number: usize,
    pub logical_id: String,
    pub is_stack: bool,
    pub status: String,
    pub reason: String,
    pub token: String,
}

#[derive(Debug, Clone)]
struct Step {
    logical_id: String,
    status: String,
    reason: String,
    token: String,
}

impl Stacks {
    /// Puts a stack in a state, as if it had always been there.
    pub fn put(&mut self, name: &str, status: &str, template: Value) -> &mut Stack {
        let id = self.new_id(name);
        let resources = resource_names(&template);
        let resources = resources.map(|id| (id, "CREATE_COMPLETE".to_owned())).collect();
        let status = status.to_owned();
        let stack =
            Stack { name: name.into(), id, status, template, resources, ..Stack::default() };
        self.all.push(stack);
        self.all.last_mut().unwrap()
    }

    /// The stack of this name that is not deleted.
    pub fn live(&self, name: &str) -> Option<&Stack> {
        self.all.iter().find(|stack| stack.name == name && stack.status != "DELETE_COMPLETE")
    }

    pub fn answer(&mut self, call: &Call) -> Answer {
        let name = call.get("StackName").to_owned();
        let position = self.all.iter().position(|stack| {
            stack.id == name || stack.name == name && stack.status != "DELETE_COMPLETE"
        });
        let absent = format!("Stack with id {name} does not exist");
        if call.action == "CreateChangeSet" && position.is_none() {
            if call.get("ChangeSetType") != "CREATE" {
                return Answer::refuse("ValidationError", &absent);
            }
            let id = self.new_id(&name);
            let status = "REVIEW_IN_PROGRESS".into();
            self.all.push(Stack { name, id, status, ..Stack::default() });
            return self.all.last_mut().unwrap().create_change_set(call);
        }
        let Some(stack) = position.map(|position| &mut self.all[position]) else {
            return match call.action.as_str() {
                "DeleteStack" => Answer::ok(""),
                _ => Answer::refuse("ValidationError", &absent),
            };
        };
        stack.answer(call)
    }

    fn new_id(&mut self, name: &str) -> String {
        self.made += 1;
        format!("arn:aws:cloudformation:eu-west-1:{ACCOUNT}:stack/{name}/{}", self.made)
    }
}

impl Stack {
    /// Begins an operation of which the given steps are still to come.
    pub fn run(&mut self, token: &str, steps: &[(&str, &str, &str)]) {
        for (logical_id, status, reason) in steps {
            self.steps.push_back(Step {
                logical_id: (*logical_id).into(),
                status: (*status).into(),
                reason: (*reason).into(),
                token: token.into(),
            });
        }
        self.step();
    }

    fn answer(&mut self, call: &Call) -> Answer {
        let busy = self.status.ends_with("_IN_PROGRESS") && self.status != "REVIEW_IN_PROGRESS";
        let refused = |stack: &Stack| {
            let message =
                format!("Stack:{} is in {} state and can not be updated.", stack.id, stack.status);
            Answer::refuse("ValidationError", &message)
        };
        let token = call.get("ClientRequestToken").to_owned();
        match call.action.as_str() {
            "DescribeStacks" => {
                let answer = self.described();
                self.step();
                answer
            }
            "DescribeStackEvents" => self.events(call),
            "ListStackResources" => {
                Answer::ok(members("StackResourceSummaries", &self.resources, |(id, status)| {
                    [
                        ("LogicalResourceId", id.as_str()),
                        ("PhysicalResourceId", id.as_str()),
                        ("ResourceType", "AWS::SNS::Topic"),
                        ("ResourceStatus", status.as_str()),
                    ]
                    .map(|(name, value)| tag(name, value))
                    .concat()
                }))
            }
            "GetTemplate" => Answer::ok(tag("TemplateBody", &escape(&self.template.to_string()))),
            "UpdateTerminationProtection" => {
                self.protected = call.get("EnableTerminationProtection") == "true";
                Answer::ok("")
            }
            "CreateChangeSet" if busy || self.status == "ROLLBACK_COMPLETE" => refused(self),
            "CreateChangeSet" => self.create_change_set(call),
            "DescribeChangeSet" => self.describe_change_set(call),
            "DeleteChangeSet" => {
                self.change_sets.retain(|set| set.name != call.get("ChangeSetName"));
                Answer::ok("")
            }
            "ExecuteChangeSet" if busy => refused(self),
            "ExecuteChangeSet" => self.execute(call, &token),
            "DeleteStack" if self.protected => {
                let message = format!(
                    "Stack [{}] cannot be deleted while TerminationProtection is enabled",
                    self.name
                );
                Answer::refuse("ValidationError", &message)
            }
            "DeleteStack" if self.status == "REVIEW_IN_PROGRESS" => {
                self.status = "DELETE_COMPLETE".into();
                Answer::ok("")
            }
            "DeleteStack" => self.delete(call, &token),
            "RollbackStack" => {
                let name = self.name.clone();
                let end = if self.executions > 1 { "UPDATE_ROLLBACK" } else { "ROLLBACK" };
                self.run(
                    &token,
                    &[
                        (&name, &format!("{end}_IN_PROGRESS"), "User Initiated"),
                        (&name, &format!("{end}_COMPLETE"), ""),
                    ],
                );
                Answer::ok("")
            }
            "ContinueUpdateRollback" => {
                let name = self.name.clone();
                let stuck = self.resources.iter().any(|(_, status)| status == "UPDATE_FAILED")
                    && call.list("ResourcesToSkip", "").is_empty();
                let end = if stuck { "UPDATE_ROLLBACK_FAILED" } else { "UPDATE_ROLLBACK_COMPLETE" };
                self.run(
                    &token,
                    &[(&name, "UPDATE_ROLLBACK_IN_PROGRESS", "User Initiated"), (&name, end, "")],
                );
                Answer::ok("")
            }
            other => Answer::refuse("InvalidAction", &format!("the double does not know {other}")),
        }
    }

    fn described(&self) -> Answer {
        let values =
            [("StackName", &self.name), ("StackId", &self.id), ("StackStatus", &self.status)];
        let values = values.map(|(name, value)| tag(name, value)).concat();
        let outputs = self.template["Outputs"].as_object().cloned().unwrap_or_default();
        let outputs = members("Outputs", &outputs, |(name, output)| {
            tag("OutputKey", name) + &tag("OutputValue", output["Value"].as_str().unwrap_or("?"))
        });
        let parameters = self.template["Parameters"].as_object().cloned().unwrap_or_default();
        let parameters = members("Parameters", &parameters, |(name, _)| tag("ParameterKey", name));
        let rest = format!(
            "<CreationTime>2026-01-01T00:00:00Z</CreationTime>\
             <EnableTerminationProtection>{}</EnableTerminationProtection>{outputs}{parameters}",
            self.protected
        );
        Answer::ok(tag("Stacks", &tag("member", &(values + &rest))))
    }

    /// Newest first, three to a page.
    fn events(&self, call: &Call) -> Answer {
        let start: usize = call.get("NextToken").parse().unwrap_or(0);
        let page: Vec<&Event> = self.events.iter().rev().skip(start).take(3).collect();
        let next = next_token(start + 3, self.events.len());
        let body = members("StackEvents", page, |event| {
            let kind =
                if event.is_stack { "AWS::CloudFormation::Stack" } else { "AWS::SNS::Topic" };
            let physical = if event.is_stack { &self.id } else { &event.logical_id };
            let token = match event.token.as_str() {
                "" => String::new(),
                token => tag("ClientRequestToken", token),
            };
            [
                ("StackId", self.id.as_str()),
                ("StackName", &self.name),
                ("EventId", &format!("{}-{}", self.name, event.number)),
                ("LogicalResourceId", &event.logical_id),
                ("PhysicalResourceId", physical),
                ("ResourceType", kind),
                ("ResourceStatus", &event.status),
                ("ResourceStatusReason", &escape(&event.reason)),
                ("Timestamp", "2026-01-01T00:00:00Z"),
            ]
            .map(|(name, value)| tag(name, value))
            .concat()
                + &token
        });
        Answer::ok(body + &next)
    }

    fn create_change_set(&mut self, call: &Call) -> Answer {
        let name = call.get("ChangeSetName").to_owned();
        if self.change_sets.iter().any(|set| set.name == name) {
            return Answer::refuse("AlreadyExistsException", "ChangeSet already exists");
        }
        let kind = if self.status == "REVIEW_IN_PROGRESS" { "CREATE" } else { "UPDATE" };
        if call.get("ChangeSetType") != kind {
            return Answer::refuse("ValidationError", &format!("the type must be {kind}"));
        }
        let template: Value = serde_json::from_str(call.get("TemplateBody")).unwrap();
        let broken = self.status.ends_with("_FAILED");
        let empty = kind == "UPDATE" && !broken && template == self.template;
        self.change_sets.push(ChangeSet { name, template, empty, looks: 0 });
        Answer::ok(tag("Id", "arn:set") + &tag("StackId", &self.id))
    }

    fn describe_change_set(&mut self, call: &Call) -> Answer {
        let name = call.get("ChangeSetName");
        let Some(set) = self.change_sets.iter_mut().find(|set| set.name == name) else {
            return Answer::refuse("ChangeSetNotFound", "ChangeSet does not exist");
        };
        set.looks += 1;
        let head = [("ChangeSetName", name), ("ChangeSetId", name), ("StackId", &self.id)]
            .map(|(name, value)| tag(name, value))
            .concat();
        if set.looks == 1 {
            return Answer::ok(head + &tag("Status", "CREATE_IN_PROGRESS"));
        }
        if set.empty {
            let reason = "The submitted information didn't contain changes. Submit different \
                          information to create a change set.";
            return Answer::ok(head + &tag("Status", "FAILED") + &tag("StatusReason", reason));
        }
        // Two changes to a page.
        let names: Vec<String> = resource_names(&set.template).collect();
        let start: usize = call.get("NextToken").parse().unwrap_or(0);
        let page: Vec<&String> = names.iter().skip(start).take(2).collect();
        let changes = members("Changes", page, |id| {
            tag("ResourceChange", &(tag("Action", "Add") + &tag("LogicalResourceId", id)))
        });
        let next = next_token(start + 2, names.len());
        let status = tag("Status", "CREATE_COMPLETE") + &tag("ExecutionStatus", "AVAILABLE");
        Answer::ok(head + &status + &changes + &next)
    }

    fn execute(&mut self, call: &Call, token: &str) -> Answer {
        let name = call.get("ChangeSetName");
        let Some(set) = self.change_sets.iter().find(|set| set.name == name).cloned() else {
            return Answer::refuse("ChangeSetNotFound", "ChangeSet does not exist");
        };
        // Executing one removes them all.
        self.change_sets.clear();
        self.executions += 1;
        let verb = if self.status == "REVIEW_IN_PROGRESS" { "CREATE" } else { "UPDATE" };
        let name = self.name.clone();
        let mut steps =
            vec![(name.clone(), format!("{verb}_IN_PROGRESS"), "User Initiated".to_owned())];
        let cancelled = match verb {
            "CREATE" => "Resource creation cancelled",
            _ => "Resource update cancelled",
        };
        let bad = resource_names(&set.template).any(|id| id.starts_with("Bad"));
        for id in resource_names(&set.template) {
            steps.push((id.clone(), format!("{verb}_IN_PROGRESS"), String::new()));
            let (status, reason) = match (bad, id.starts_with("Bad")) {
                (true, true) => ("FAILED", "the name is taken".to_owned()),
                (true, false) => ("FAILED", cancelled.to_owned()),
                _ => ("COMPLETE", String::new()),
            };
            steps.push((id, format!("{verb}_{status}"), reason));
        }
        let rollback = if verb == "CREATE" { "ROLLBACK" } else { "UPDATE_ROLLBACK" };
        match (bad, call.get("DisableRollback") == "true") {
            (false, _) => {
                self.template = set.template;
                self.resources = resource_names(&self.template)
                    .map(|id| (id, format!("{verb}_COMPLETE")))
                    .collect();
                steps.push((name, format!("{verb}_COMPLETE"), String::new()));
            }
            (true, true) => steps.push((name, format!("{verb}_FAILED"), String::new())),
            (true, false) => {
                let why = "The following resource(s) failed".to_owned();
                steps.push((name.clone(), format!("{rollback}_IN_PROGRESS"), why));
                steps.push((name, format!("{rollback}_COMPLETE"), String::new()));
            }
        }
        let steps: Vec<(&str, &str, &str)> = steps
            .iter()
            .map(|(id, status, why)| (id.as_str(), status.as_str(), why.as_str()))
            .collect();
        self.run(token, &steps);
        Answer::ok("")
    }

    fn delete(&mut self, call: &Call, token: &str) -> Answer {
        let retained = call.list("RetainResources", "");
        let force = call.get("DeletionMode") == "FORCE_DELETE_STACK";
        if !retained.is_empty() && self.status != "DELETE_FAILED" {
            return Answer::refuse("ValidationError", "RetainResources needs DELETE_FAILED");
        }
        let name = self.name.clone();
        let mut steps = vec![(name.clone(), "DELETE_IN_PROGRESS", "User Initiated")];
        let mut stuck = false;
        for (id, status) in &mut self.resources {
            if id.starts_with("Sticky") && !retained.contains(id) && !force {
                stuck = true;
                *status = "DELETE_FAILED".into();
                steps.push((id.clone(), "DELETE_FAILED", "it is in use"));
            } else {
                *status = "DELETE_COMPLETE".into();
                steps.push((id.clone(), "DELETE_COMPLETE", ""));
            }
        }
        steps.push((name, if stuck { "DELETE_FAILED" } else { "DELETE_COMPLETE" }, ""));
        let steps: Vec<(&str, &str, &str)> =
            steps.iter().map(|(id, status, why)| (id.as_str(), *status, *why)).collect();
        self.run(token, &steps);
        Answer::ok("")
    }

    /// Takes the next step of what is running.
    fn step(&mut self) {
        let Some(step) = self.steps.pop_front() else { return };
        let is_stack = step.logical_id == self.name;
        if is_stack {
            self.status.clone_from(&step.status);
        }
        self.events.push(Event {
            number: self.events.len(),
            logical_id: step.logical_id,
            is_stack,
            status: step.status,
            reason: step.reason,
            token: step.token,
        });
    }
}

fn next_token(next: usize, length: usize) -> String {
    if next < length { tag("NextToken", &next.to_string()) } else { String::new() }
}

fn resource_names(template: &Value) -> impl Iterator<Item = String> + use<> {
    let resources = template["Resources"].as_object().cloned().unwrap_or_default();
    resources.into_iter().map(|(id, _)| id)
}
