//! What keys are for: encrypt, decrypt, make data keys.
//!
//! A ciphertext names its key and is bound to its encryption context. Grants and
//! key policies are not asked here; permissions come from IAM.

use iotstack_local_kernel::{Call, Fault, Reply, loose};
use serde_json::{Map, Value, json};

use super::key::Key;
use super::{Context, Kms, cipher, random};
use crate::wire::{base64, bytes, violating};

impl Kms {
    pub(super) fn encrypt(&self, call: Call) -> Result<Reply, Fault> {
        let key = self.usable(&loose::required(&call.input, "KeyId")?)?;
        let plain = required_bytes(&call.input, "Plaintext")?;
        let violating = |wanted| Err(violating("plaintext", None, wanted));
        if plain.is_empty() {
            return violating("Member must have length greater than or equal to 1");
        }
        if plain.len() > 4096 {
            return violating("Member must have length less than or equal to 4096");
        }
        let context = context(&call.input, "EncryptionContext")?;
        let sealed = cipher::seal(&key.id, &key.material, &plain, &context)?;
        Ok(json!({
            "CiphertextBlob": base64(&sealed),
            "KeyId": key.arn,
            "EncryptionAlgorithm": "SYMMETRIC_DEFAULT",
        })
        .into())
    }

    pub(super) fn decrypt(&self, call: Call) -> Result<Reply, Fault> {
        let context = context(&call.input, "EncryptionContext")?;
        let named = loose::text(&call.input, "KeyId")?;
        let (key, plain) = self.open(&call.input, named.as_deref(), &context)?;
        Ok(json!({
            "Plaintext": base64(&plain),
            "KeyId": key.arn,
            "EncryptionAlgorithm": "SYMMETRIC_DEFAULT",
        })
        .into())
    }

    pub(super) fn re_encrypt(&self, call: Call) -> Result<Reply, Fault> {
        let input = &call.input;
        let source = context(input, "SourceEncryptionContext")?;
        let named = loose::text(input, "SourceKeyId")?;
        let (from, plain) = self.open(input, named.as_deref(), &source)?;
        let to = self.usable(&loose::required(input, "DestinationKeyId")?)?;
        let target = context(input, "DestinationEncryptionContext")?;
        let sealed = cipher::seal(&to.id, &to.material, &plain, &target)?;
        Ok(json!({
            "CiphertextBlob": base64(&sealed),
            "SourceKeyId": from.arn,
            "KeyId": to.arn,
            "SourceEncryptionAlgorithm": "SYMMETRIC_DEFAULT",
            "DestinationEncryptionAlgorithm": "SYMMETRIC_DEFAULT",
        })
        .into())
    }

    pub(super) fn data_key(&self, call: Call) -> Result<Reply, Fault> {
        let input = &call.input;
        let key = self.usable(&loose::required(input, "KeyId")?)?;
        let length = match (loose::text(input, "KeySpec")?, loose::integer(input, "NumberOfBytes")?)
        {
            (Some(spec), None) if spec == "AES_256" => 32,
            (Some(spec), None) if spec == "AES_128" => 16,
            (None, Some(length)) => random_length(length)?,
            _ => {
                let reason = "one of KeySpec (AES_256, AES_128) and NumberOfBytes is required";
                return Err(Fault::new("ValidationException", 400, reason));
            }
        };
        let plain = random(length);
        let context = context(input, "EncryptionContext")?;
        let sealed = cipher::seal(&key.id, &key.material, &plain, &context)?;
        let mut reply = json!({"CiphertextBlob": base64(&sealed), "KeyId": key.arn});
        if call.operation == "GenerateDataKey" {
            reply["Plaintext"] = json!(base64(&plain));
        }
        Ok(reply.into())
    }

    pub(super) fn random_bytes(&self, call: Call) -> Result<Reply, Fault> {
        let length = loose::integer(&call.input, "NumberOfBytes")?.unwrap_or(32);
        Ok(json!({"Plaintext": base64(&random(random_length(length)?))}).into())
    }

    /// Decrypts what [`Kms::seal`] made, with the key that it names itself.
    fn open(
        &self,
        input: &Map<String, Value>,
        named: Option<&str>,
        context: &Context,
    ) -> Result<(Key, Vec<u8>), Fault> {
        let sealed = required_bytes(input, "CiphertextBlob")?;
        let id = cipher::key_of(&sealed)?;
        // A ciphertext of a key that is gone must look like no ciphertext at all.
        let key = self.usable(id).map_err(|fault| match fault.code.as_str() {
            "NotFoundException" => cipher::invalid(),
            _ => fault,
        })?;
        if let Some(named) = named
            && self.named(named)?.id != key.id
        {
            let reason = "the ciphertext was not made with the key that KeyId names";
            return Err(Fault::new("IncorrectKeyException", 400, reason));
        }
        let plain = cipher::open(&key.material, &sealed, context)?;
        Ok((key, plain))
    }
}

fn context(input: &Map<String, Value>, member: &str) -> Result<Context, Fault> {
    Ok(loose::pairs(input, member, ("key", "value"))?.into_iter().collect())
}

fn required_bytes(input: &Map<String, Value>, member: &str) -> Result<Vec<u8>, Fault> {
    bytes(input, member)?.ok_or_else(|| Fault::invalid_input(format!("{member} is required")))
}

fn random_length(length: i64) -> Result<usize, Fault> {
    usize::try_from(length).ok().filter(|length| (1..=1024).contains(length)).ok_or_else(|| {
        let reason = format!("NumberOfBytes must be 1 to 1024, not {length}");
        Fault::new("ValidationException", 400, reason)
    })
}
