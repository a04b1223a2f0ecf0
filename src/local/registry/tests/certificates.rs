//! Certificates, authorities and attachments to things.
//!
//! An authority of somebody else is made by the tests; its keys never leave them.

use rcgen::{BasicConstraints, CertificateParams, DnType, IsCa, Issuer, KeyPair};

use super::*;

/// An authority of somebody else.
struct Foreign {
    pem: String,
    issuer: Issuer<'static, KeyPair>,
}

impl Foreign {
    fn new(name: &str) -> Self {
        let key = KeyPair::generate().unwrap();
        let mut params = CertificateParams::default();
        params.distinguished_name.push(DnType::CommonName, name);
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        let pem = params.self_signed(&key).unwrap().pem();
        Foreign { pem, issuer: Issuer::new(params, key) }
    }

    fn sign(&self, name: &str) -> String {
        let key = KeyPair::generate().unwrap();
        let mut params = CertificateParams::default();
        params.distinguished_name.push(DnType::CommonName, name);
        params.signed_by(&key, &self.issuer).unwrap().pem()
    }
}

#[tokio::test]
async fn a_certificate_goes_only_when_nothing_holds_it() {
    let cloud = cloud();
    create_things(&cloud, &["a"]).await;
    let (arn, _) = certificate(&cloud).await;
    let id = arn.rsplit('/').next().unwrap();
    let input = json!({"certificateId": id});
    attach(&cloud, "p", json!([allow("iot:Connect", "*")]), &arn).await;
    let pair = json!({"thingName": "a", "principal": arn});
    iot(&cloud, "AttachThingPrincipal", pair.clone()).await;

    assert_eq!(
        refusal(&cloud, "DeleteCertificate", input.clone()).await,
        ("CertificateStateException".to_owned(), 406)
    );
    iot(&cloud, "UpdateCertificate", json!({"certificateId": id, "newStatus": "INACTIVE"})).await;
    assert_eq!(
        refusal(&cloud, "DeleteCertificate", input.clone()).await,
        ("DeleteConflictException".to_owned(), 409)
    );
    let attached = refusal(&cloud, "DeleteThing", json!({"thingName": "a"})).await;
    assert_eq!(attached.0, "InvalidRequestException");
    iot(&cloud, "DetachThingPrincipal", pair.clone()).await;
    assert_eq!(refusal(&cloud, "DetachThingPrincipal", pair).await.1, 404);
    assert_eq!(refusal(&cloud, "DeleteCertificate", input.clone()).await.1, 409);
    iot(&cloud, "DetachPolicy", json!({"policyName": "p", "target": arn})).await;
    iot(&cloud, "DeleteCertificate", input.clone()).await;
    assert_eq!(refusal(&cloud, "DescribeCertificate", input).await.1, 404);
}

#[tokio::test]
async fn keys_are_shown_once_and_the_certificate_always() {
    let cloud = cloud();
    let made = iot(&cloud, "CreateKeysAndCertificate", json!({})).await;
    assert!(made["keyPair"]["PrivateKey"].as_str().unwrap().starts_with("-----BEGIN RSA PRIVATE"));
    let found =
        iot(&cloud, "DescribeCertificate", json!({"certificateId": made["certificateId"]})).await;
    let description = &found["certificateDescription"];
    assert_eq!(description["certificatePem"], made["certificatePem"]);
    assert_eq!(
        (&description["status"], &description["certificateMode"]),
        (&json!("INACTIVE"), &json!("DEFAULT"))
    );
    assert!(!found.to_string().contains("PRIVATE"));
    assert_eq!(made["certificateId"].as_str().unwrap().len(), 64);
}

#[tokio::test]
async fn a_revoked_certificate_stays_revoked() {
    let cloud = cloud();
    let (arn, _) = certificate(&cloud).await;
    let change =
        |status: &str| json!({"certificateId": arn.rsplit('/').next(), "newStatus": status});
    iot(&cloud, "UpdateCertificate", change("REVOKED")).await;
    assert_eq!(refusal(&cloud, "UpdateCertificate", change("ACTIVE")).await.1, 406);
    assert_eq!(refusal(&cloud, "UpdateCertificate", change("NEW")).await.1, 400);
}

#[tokio::test]
async fn a_certificate_is_registered_with_its_authority_or_alone() {
    let cloud = cloud();
    let foreign = Foreign::new("factory");
    let pem = foreign.sign("lamp-1");
    let register = json!({"certificatePem": pem, "setAsActive": true});
    assert_eq!(
        refusal(&cloud, "RegisterCertificate", register.clone()).await.0,
        "CertificateValidationException"
    );
    let code = iot(&cloud, "GetRegistrationCode", json!({})).await["registrationCode"].clone();
    let proof = foreign.sign(code.as_str().unwrap());
    let ca = |proof: &str| json!({"caCertificate": foreign.pem, "verificationCertificate": proof, "setAsActive": true});
    let wrong = refusal(&cloud, "RegisterCACertificate", ca(&foreign.sign("else"))).await;
    assert_eq!(wrong.0, "RegistrationCodeValidationException");
    let not_ours = Foreign::new("other").sign(code.as_str().unwrap());
    assert_eq!(
        refusal(&cloud, "RegisterCACertificate", ca(&not_ours)).await.0,
        "CertificateValidationException"
    );
    let registered = iot(&cloud, "RegisterCACertificate", ca(&proof)).await;
    assert_eq!(refusal(&cloud, "RegisterCACertificate", ca(&proof)).await.1, 409);

    let made = iot(&cloud, "RegisterCertificate", register.clone()).await;
    assert_eq!(refusal(&cloud, "RegisterCertificate", register).await.1, 409);
    let found =
        iot(&cloud, "DescribeCertificate", json!({"certificateId": made["certificateId"]})).await;
    assert_eq!(found["certificateDescription"]["caCertificateId"], registered["certificateId"]);
    let by_ca = iot(
        &cloud,
        "ListCertificatesByCA",
        json!({"caCertificateId": registered["certificateId"]}),
    )
    .await;
    assert_eq!(by_ca["certificates"].as_array().unwrap().len(), 1);

    let alone = json!({"certificatePem": Foreign::new("nobody").sign("x"), "status": "ACTIVE"});
    let made = iot(&cloud, "RegisterCertificateWithoutCA", alone).await;
    let found =
        iot(&cloud, "DescribeCertificate", json!({"certificateId": made["certificateId"]})).await;
    assert_eq!(found["certificateDescription"]["certificateMode"], "SNI_ONLY");

    let id = json!({"caCertificateId": registered["certificateId"]});
    assert_eq!(refusal(&cloud, "DeleteCACertificate", id.clone()).await.1, 406);
    let off = json!({"caCertificateId": registered["certificateId"], "newStatus": "INACTIVE"});
    iot(&cloud, "UpdateCACertificate", off).await;
    iot(&cloud, "DeleteCACertificate", id).await;
}

#[tokio::test]
async fn a_certificate_that_is_no_authority_is_not_registered_as_one() {
    let cloud = cloud();
    let input =
        json!({"caCertificate": Foreign::new("f").sign("leaf"), "certificateMode": "SNI_ONLY"});
    assert!(refused(&cloud, "RegisterCACertificate", input).await.message.contains("no CA"));
    let nothing = json!({"caCertificate": "-----BEGIN", "certificateMode": "SNI_ONLY"});
    assert_eq!(refusal(&cloud, "RegisterCACertificate", nothing).await.1, 400);
}

#[tokio::test]
async fn a_principal_that_belongs_to_one_thing_is_attached_to_no_other() {
    let cloud = cloud();
    create_things(&cloud, &["a", "b"]).await;
    let (arn, _) = certificate(&cloud).await;
    let pair = |thing: &str, kind: &str| json!({"thingName": thing, "principal": arn, "thingPrincipalType": kind});
    iot(&cloud, "AttachThingPrincipal", pair("a", "EXCLUSIVE_THING")).await;
    assert_eq!(
        refusal(&cloud, "AttachThingPrincipal", pair("b", "NON_EXCLUSIVE_THING")).await.1,
        400
    );
    let found = iot(&cloud, "ListThingPrincipalsV2", json!({"thingName": "a"})).await;
    assert_eq!(found["thingPrincipalObjects"][0]["thingPrincipalType"], "EXCLUSIVE_THING");
    let things = iot(&cloud, "ListPrincipalThings", json!({"principal": arn})).await;
    assert_eq!(things["things"], json!(["a"]));
    iot(&cloud, "DetachThingPrincipal", json!({"thingName": "a", "principal": arn})).await;
    iot(&cloud, "AttachThingPrincipal", pair("a", "NON_EXCLUSIVE_THING")).await;
    iot(&cloud, "AttachThingPrincipal", pair("b", "NON_EXCLUSIVE_THING")).await;
    assert_eq!(refusal(&cloud, "AttachThingPrincipal", pair("b", "EXCLUSIVE_THING")).await.1, 400);
    let nobody =
        json!({"thingName": "a", "principal": "arn:aws:iot:us-east-1:123456789012:cert/00"});
    assert_eq!(refusal(&cloud, "AttachThingPrincipal", nobody).await.1, 404);
}

#[tokio::test]
async fn a_claim_of_a_trusted_user_ends_and_is_not_listed() {
    let cloud = cloud();
    super::provisioning::template(&cloud, "fleet", json!({})).await;
    let claim = iot(&cloud, "CreateProvisioningClaim", json!({"templateName": "fleet"})).await;
    let list = iot(&cloud, "ListCertificates", json!({})).await;
    assert_eq!(list["certificates"], json!([]));
    let der = crate::x509::certificate_der(claim["certificatePem"].as_str().unwrap()).unwrap();
    let authority = cloud.ports.authority().unwrap();
    assert_eq!(authority.admits(&der), iotstack_local_kernel::Admission::Active);
    cloud.clock.step(Duration::from_secs(301));
    assert_ne!(authority.admits(&der), iotstack_local_kernel::Admission::Active);
}

#[tokio::test]
async fn a_device_of_a_registered_authority_registers_itself() {
    let cloud = cloud();
    let broker = Broker::on(&cloud);
    let foreign = Foreign::new("factory");
    let input = json!({
        "caCertificate": foreign.pem,
        "certificateMode": "SNI_ONLY",
        "setAsActive": true,
        "allowAutoRegistration": true,
    });
    let ca = iot(&cloud, "RegisterCACertificate", input).await;
    let der = crate::x509::certificate_der(&foreign.sign("lamp-1")).unwrap();
    let authority = cloud.ports.authority().unwrap();
    assert_eq!(authority.admits(&der), iotstack_local_kernel::Admission::FirstSeen);
    assert!(authority.connect(&super::authority::attempt("lamp-1", &der)).is_err());
    let (topic, event) = broker.published().remove(0);
    let id = ca["certificateId"].as_str().unwrap();
    assert_eq!(topic, format!("$aws/events/certificates/registered/{id}"));
    assert_eq!(event["certificateStatus"], "PENDING_ACTIVATION");
    assert_eq!(authority.admits(&der), iotstack_local_kernel::Admission::Inactive);

    // With a template the device is ready when it comes back.
    let body = json!({
        "Parameters": {"AWS::IoT::Certificate::CommonName": {"Type": "String"}, "AWS::IoT::Certificate::Id": {"Type": "String"}},
        "Resources": {
            "thing": {"Type": "AWS::IoT::Thing", "Properties": {"ThingName": {"Ref": "AWS::IoT::Certificate::CommonName"}}},
            "certificate": {"Type": "AWS::IoT::Certificate", "Properties": {"CertificateId": {"Ref": "AWS::IoT::Certificate::Id"}}},
            "policy": {"Type": "AWS::IoT::Policy", "Properties": {"PolicyDocument": document(json!([allow("iot:Connect", "*")]))}},
        },
    });
    let registration = json!({
        "caCertificateId": id,
        "registrationConfig": {"templateBody": body.to_string(), "roleArn": "arn:aws:iam::123456789012:role/r"},
    });
    iot(&cloud, "UpdateCACertificate", registration).await;
    let missing = json!({"caCertificateId": id, "registrationConfig": {"templateName": "none"}});
    assert_eq!(refusal(&cloud, "UpdateCACertificate", missing).await.1, 404);
    let der = crate::x509::certificate_der(&foreign.sign("lamp-2")).unwrap();
    assert!(authority.connect(&super::authority::attempt("lamp-2", &der)).is_err());
    assert!(authority.connect(&super::authority::attempt("lamp-2", &der)).is_ok());
    assert!(cloud.ports.registry().unwrap().thing("lamp-2").is_some());
}
