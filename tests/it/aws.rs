//! Answers in place of AWS, on loopback, for tests that need a certain answer.
//!
//! It is no cloud: a test hands over a function from the action's name and the request's
//! body to an answer, and sees afterwards what was asked. Tests that need a cloud that
//! behaves use the judges'.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::{TcpListener, TcpStream};
use std::sync::{Arc, Mutex};

/// An answer: the status and the XML.
pub type Answer = (u16, String);

/// A server that answers until the test ends.
pub struct Aws {
    address: String,
    asked: Arc<Mutex<Vec<String>>>,
}

impl Aws {
    /// Answers requests of the query protocol with `answer(action, body)`.
    pub fn answering(answer: impl Fn(&str, &str) -> Answer + Send + 'static) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = format!("http://{}", listener.local_addr().unwrap());
        let asked = Arc::new(Mutex::new(Vec::new()));
        let heard = asked.clone();
        // The thread ends with the test process.
        std::thread::spawn(move || {
            for stream in listener.incoming().flatten() {
                serve(stream, &answer, &heard);
            }
        });
        Aws { address, asked }
    }

    /// An account that the credentials belong to, and nothing else.
    pub fn with_account(account: &'static str) -> Self {
        Aws::answering(move |action, _| match action {
            "GetCallerIdentity" => (200, identity(account)),
            other => (400, error("ValidationError", &format!("no answer to {other}"))),
        })
    }

    /// The variables that lead the program here.
    pub fn variables(&self) -> Vec<(&str, &str)> {
        vec![
            ("AWS_ENDPOINT_URL", &self.address),
            ("AWS_ACCESS_KEY_ID", "AKIAIOSFODNN7EXAMPLE"),
            ("AWS_SECRET_ACCESS_KEY", "example"),
            ("AWS_REGION", "eu-central-1"),
        ]
    }

    /// The actions that were asked for, in order.
    pub fn asked(&self) -> Vec<String> {
        self.asked.lock().unwrap().clone()
    }
}

/// The answer of STS about the caller.
pub fn identity(account: &str) -> String {
    format!(
        "<GetCallerIdentityResponse xmlns=\"https://sts.amazonaws.com/doc/2011-06-15/\">\
         <GetCallerIdentityResult><Arn>arn:aws:iam::{account}:user/tester</Arn>\
         <UserId>AIDA</UserId><Account>{account}</Account></GetCallerIdentityResult>\
         </GetCallerIdentityResponse>"
    )
}

/// A refusal.
pub fn error(code: &str, message: &str) -> String {
    format!(
        "<ErrorResponse><Error><Type>Sender</Type><Code>{code}</Code>\
         <Message>{message}</Message></Error><RequestId>r-1</RequestId></ErrorResponse>"
    )
}

fn serve(stream: TcpStream, answer: &impl Fn(&str, &str) -> Answer, heard: &Mutex<Vec<String>>) {
    let mut reader = BufReader::new(stream.try_clone().unwrap());
    let mut line = String::new();
    if reader.read_line(&mut line).is_err() || line.is_empty() {
        return;
    }
    let mut length = 0;
    loop {
        let mut header = String::new();
        if reader.read_line(&mut header).is_err() || header.trim().is_empty() {
            break;
        }
        if let Some(value) = header.to_ascii_lowercase().strip_prefix("content-length:") {
            length = value.trim().parse().unwrap();
        }
    }
    let mut body = vec![0; length];
    if reader.read_exact(&mut body).is_err() {
        return;
    }
    let body = String::from_utf8_lossy(&body).into_owned();
    let action = body
        .split('&')
        .find_map(|pair| pair.strip_prefix("Action="))
        .map_or_else(|| line.trim().to_owned(), str::to_owned);
    heard.lock().unwrap().push(action.clone());
    let (status, text) = answer(&action, &body);
    let mut stream = stream;
    // A client that went away wants no answer.
    let _ = write!(
        stream,
        "HTTP/1.1 {status} X\r\ncontent-type: text/xml\r\ncontent-length: {}\r\n\
         connection: close\r\n\r\n{text}",
        text.len()
    );
}

/// A field of a form, decoded; empty if it is not there.
fn field(form: &str, name: &str) -> String {
    let given = form.split('&').find_map(|pair| pair.strip_prefix(name)?.strip_prefix('='));
    let mut bytes = Vec::new();
    let mut rest = given.unwrap_or_default().bytes();
    while let Some(byte) = rest.next() {
        bytes.push(match byte {
            b'+' => b' ',
            b'%' => {
                let digits: Vec<u8> = rest.by_ref().take(2).collect();
                u8::from_str_radix(std::str::from_utf8(&digits).unwrap(), 16).unwrap()
            }
            other => other,
        });
    }
    String::from_utf8(bytes).unwrap()
}

/// One CloudFormation stack: its state, and what its next change set will say.
///
/// The operations of a deployment in the order in which they come; whatever else is asked
/// is refused.
#[derive(Debug, Clone, Default)]
pub struct Stack {
    /// Where it stands, such as `UPDATE_COMPLETE`; there is none yet if empty.
    pub status: String,
    /// The deployed template.
    pub template: String,
    /// The template of the change set, once there is one.
    pub proposed: String,
    /// The changes of the next change set, as XML; with none it is empty.
    pub changes: String,
    /// Where the stack stands after an execution.
    pub executed: String,
    /// The events of the execution, as `LOGICAL_ID STATUS REASON`.
    pub events: Vec<&'static str>,
    /// Name and value of outputs.
    pub outputs: Vec<(&'static str, &'static str)>,
}

impl Stack {
    /// A stack that does not exist and comes up well.
    pub fn new() -> Self {
        Stack {
            changes: change("Add", "Alarms", "AWS::SNS::Topic", ""),
            executed: "CREATE_COMPLETE".into(),
            events: vec!["Alarms CREATE_COMPLETE -"],
            outputs: vec![("TopicArn", "arn:aws:sns:eu-central-1:123456789012:alarms")],
            ..Stack::default()
        }
    }

    /// Serves the stack in the account 123456789012.
    pub fn serve(self) -> Aws {
        let state = Mutex::new((self, String::new()));
        Aws::answering(move |action, body| {
            let (stack, token) = &mut *state.lock().unwrap();
            stack.answer(action, body, token)
        })
    }

    fn answer(&mut self, action: &str, body: &str, token: &mut String) -> Answer {
        let done = |inside: String| {
            let space = "http://cloudformation.amazonaws.com/doc/2010-05-15/";
            (
                200,
                format!(
                    "<{action}Response xmlns=\"{space}\"><{action}Result>{inside}</{action}Result>\
                     </{action}Response>"
                ),
            )
        };
        match action {
            "GetCallerIdentity" => (200, identity("123456789012")),
            "DescribeStacks" if self.status.is_empty() => {
                (400, error("ValidationError", "Stack with id Fleet does not exist"))
            }
            "DescribeStacks" => done(self.describe()),
            "GetTemplate" => {
                let of_change_set = body.contains("ChangeSetName=");
                let template = if of_change_set { &self.proposed } else { &self.template };
                // The SDK reads no CDATA.
                let escaped = template.replace('&', "&amp;").replace('<', "&lt;");
                done(format!("<TemplateBody>{escaped}</TemplateBody>"))
            }
            "CreateChangeSet" => {
                if self.status.is_empty() {
                    self.status = "REVIEW_IN_PROGRESS".into();
                }
                self.proposed = field(body, "TemplateBody");
                done(format!("<Id>{CHANGE_SET}</Id><StackId>{STACK}</StackId>"))
            }
            "DescribeChangeSet" => done(self.change_set()),
            "ExecuteChangeSet" => {
                self.status = self.executed.clone();
                *token = field(body, "ClientRequestToken");
                done(String::new())
            }
            "DescribeStackEvents" => done(self.history(token)),
            "DeleteChangeSet" => done(String::new()),
            "ListStackResources" => done(format!(
                "<StackResourceSummaries><member><LogicalResourceId>Alarms</LogicalResourceId>\
                 <PhysicalResourceId>alarms</PhysicalResourceId><ResourceType>AWS::SNS::Topic\
                 </ResourceType><ResourceStatus>CREATE_COMPLETE</ResourceStatus>\
                 <LastUpdatedTimestamp>{TIME}</LastUpdatedTimestamp></member>\
                 </StackResourceSummaries>"
            )),
            "DeleteStack" => {
                self.status = String::new();
                done(String::new())
            }
            other => (400, error("InvalidAction", &format!("no answer to {other}"))),
        }
    }

    fn describe(&self) -> String {
        let outputs: String = self
            .outputs
            .iter()
            .map(|(name, value)| {
                format!(
                    "<member><OutputKey>{name}</OutputKey><OutputValue>{value}</OutputValue></member>"
                )
            })
            .collect();
        format!(
            "<Stacks><member><StackName>Fleet</StackName><StackId>{STACK}</StackId>\
             <StackStatus>{}</StackStatus><CreationTime>{TIME}</CreationTime>\
             <Outputs>{outputs}</Outputs></member></Stacks>",
            self.status
        )
    }

    fn change_set(&self) -> String {
        let (status, execution, reason) = match self.changes.as_str() {
            "" => ("FAILED", "UNAVAILABLE", "The submitted information didn't contain changes."),
            _ => ("CREATE_COMPLETE", "AVAILABLE", ""),
        };
        format!(
            "<ChangeSetName>cdk-deploy-change-set</ChangeSetName><ChangeSetId>{CHANGE_SET}\
             </ChangeSetId><StackId>{STACK}</StackId><StackName>Fleet</StackName>\
             <Status>{status}</Status><StatusReason>{reason}</StatusReason>\
             <ExecutionStatus>{execution}</ExecutionStatus><Changes>{}</Changes>",
            self.changes
        )
    }

    /// The events of the last execution, the newest first.
    fn history(&self, token: &str) -> String {
        let end = format!("Fleet {} -", self.executed);
        let events = self.events.iter().copied().chain([end.as_str()]).enumerate();
        let mut members: Vec<String> = events
            .map(|(number, event)| {
                let mut words = event.splitn(3, ' ');
                let (id, status) = (words.next().unwrap(), words.next().unwrap());
                let reason = words.next().filter(|reason| *reason != "-").unwrap_or_default();
                let (kind, physical) = match id {
                    "Fleet" => ("AWS::CloudFormation::Stack", STACK),
                    _ => ("AWS::SNS::Topic", "alarms"),
                };
                format!(
                    "<member><EventId>e{number}</EventId><StackId>{STACK}</StackId>\
                     <StackName>Fleet</StackName><LogicalResourceId>{id}</LogicalResourceId>\
                     <PhysicalResourceId>{physical}</PhysicalResourceId>\
                     <ResourceType>{kind}</ResourceType><ResourceStatus>{status}</ResourceStatus>\
                     <ResourceStatusReason>{reason}</ResourceStatusReason>\
                     <ClientRequestToken>{token}</ClientRequestToken>\
                     <Timestamp>{TIME}</Timestamp></member>"
                )
            })
            .collect();
        members.reverse();
        format!("<StackEvents>{}</StackEvents>", members.concat())
    }
}

/// One change of a change set. `replacement` is `True`, `False`, `Conditional` or empty.
pub fn change(action: &str, id: &str, kind: &str, replacement: &str) -> String {
    let replacement = match replacement {
        "" => String::new(),
        value => format!("<Replacement>{value}</Replacement>"),
    };
    format!(
        "<member><Type>Resource</Type><ResourceChange><Action>{action}</Action>\
         <LogicalResourceId>{id}</LogicalResourceId><ResourceType>{kind}</ResourceType>\
         {replacement}</ResourceChange></member>"
    )
}

const STACK: &str = "arn:aws:cloudformation:eu-central-1:123456789012:stack/Fleet/1";
const CHANGE_SET: &str = "arn:aws:cloudformation:eu-central-1:123456789012:changeSet/x/1";
const TIME: &str = "2026-11-21T12:30:45Z";
