//! The values of several secrets at once.
//!
//! What cannot be read does not hold up the others; it is told beside them.

use iotstack_local_kernel::page::Paging;
use iotstack_local_kernel::{Call, Cloud, Fault, loose};
use serde_json::json;

use super::filter::Filter;
use super::secret::Secret;
use super::{Secrets, merge};
use crate::records::Written;

impl Secrets {
    /// The current values of several secrets: those of a list, or those that filters find.
    pub(super) fn get_values(&self, call: Call) -> Written {
        let input = &call.input;
        let refuse = |reason: &str| Err(Fault::new("InvalidParameterException", 400, reason));
        let wanted = loose::texts(input, "SecretIdList")?;
        let filters = Filter::read_all(input)?;
        if wanted.is_empty() == filters.is_empty() {
            return refuse("Either 'SecretIdList' or 'Filters' must be provided, but not both.");
        }
        if filters.is_empty() && loose::integer(input, "MaxResults")?.is_some() {
            return refuse(
                "'Filters' not specified. 'Filters' must also be specified when 'MaxResults' is \
                 provided.",
            );
        }
        if wanted.len() > 20 {
            return refuse("SecretIdList names at most 20 secrets");
        }
        let (found, next) = match filters.is_empty() {
            true => (wanted, None),
            false => {
                let all = self.listed(&filters, false);
                let (found, next) = PAGING.cut(input, all, |secret| secret.name.clone())?;
                (found.into_iter().map(|secret| secret.name).collect(), next)
            }
        };
        let cloud = Cloud::held(&self.cloud)?;
        let credentials = cloud.ports.credentials()?;
        let may_read = |secret: &Secret| {
            let arn = &secret.arn;
            match credentials.allows(&call.caller, "secretsmanager:GetSecretValue", arn) {
                true => Ok(()),
                false => Err(Fault::new(
                    "AccessDeniedException",
                    400,
                    format!(
                        "You are not authorized to perform secretsmanager:GetSecretValue on {arn}"
                    ),
                )),
            }
        };
        let (mut values, mut errors, mut read) = (Vec::new(), Vec::new(), Vec::new());
        for id in found {
            let value = self.living(&id).and_then(|secret| {
                may_read(&secret)?;
                let mut shown = secret.short();
                merge(&mut shown, secret.value(None, None)?.shown());
                Ok((shown, secret))
            });
            match value {
                Ok((shown, secret)) => {
                    values.push(shown);
                    read.push(secret);
                }
                Err(fault) => errors.push(json!({
                    "SecretId": id, "ErrorCode": fault.code, "Message": fault.message,
                })),
            }
        }
        let mut reply = json!({"SecretValues": values, "Errors": errors});
        if let Some(next) = next {
            reply["NextToken"] = json!(next);
        }
        Ok((reply.into(), self.note_access(&read)?))
    }
}

const PAGING: Paging = Paging { limit: "MaxResults", token: "NextToken", default: 20, most: 20 };
