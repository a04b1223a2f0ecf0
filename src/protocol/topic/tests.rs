//! Tests of topics and filters: the rules of AWS IoT, and the reserved topics.

use proptest::prelude::*;

use super::*;

fn name(text: &str) -> TopicName {
    text.parse().unwrap()
}

fn filter(text: &str) -> TopicFilter {
    text.parse().unwrap()
}

#[test]
fn refuses_a_hash_before_the_last_level() {
    assert_eq!(
        "a/#/b".parse::<TopicFilter>().unwrap_err().to_string(),
        "topic filter `a/#/b` is not valid: `#` must be the last level"
    );
    assert!("a/b#".parse::<TopicFilter>().is_err());
    assert!("a/b+/c".parse::<TopicFilter>().is_err());
}

#[test]
fn refuses_wildcards_in_names() {
    assert!("a/+".parse::<TopicName>().is_err());
    assert!("a/#".parse::<TopicName>().is_err());
}

#[test]
fn limits_length_and_depth() {
    assert!("x".repeat(256).parse::<TopicName>().is_ok());
    assert!("x".repeat(257).parse::<TopicName>().is_err());
    assert!("1/2/3/4/5/6/7/8".parse::<TopicName>().is_ok());
    assert!("1/2/3/4/5/6/7/8/9".parse::<TopicName>().is_err());
    assert!("".parse::<TopicName>().is_err());
    assert!("a\0b".parse::<TopicFilter>().is_err());
}

#[test]
fn leaves_the_rule_and_the_share_out_of_the_depth() {
    assert!("$aws/rules/my_rule/1/2/3/4/5/6/7/8".parse::<TopicName>().is_ok());
    assert!("$share/group/1/2/3/4/5/6/7/#".parse::<TopicFilter>().is_ok());
    assert!("$share/group/1/2/3/4/5/6/7/8/#".parse::<TopicFilter>().is_err());
}

#[test]
fn matches_as_aws_iot_does() {
    for (pattern, topic, expected) in [
        ("sensor/#", "sensor/1", true),
        ("sensor/#", "sensor/1/2", true),
        ("sensor/#", "sensor", false),
        ("sensor/+", "sensor/1", true),
        ("sensor/+", "sensor/1/2", false),
        ("+/1", "sensor/1", true),
        ("#", "sensor/1", true),
        ("#", "$aws/events/job/a/completed", false),
        ("+/events", "$aws/events", false),
        ("$aws/events/#", "$aws/events/job/a/completed", true),
        ("$share/group/sensor/+", "sensor/1", true),
        ("sensor/1", "sensor/1", true),
        ("sensor/1", "sensor/2", false),
    ] {
        assert_eq!(filter(pattern).matches(&name(topic)), expected, "{pattern} {topic}");
    }
}

#[test]
fn knows_which_filters_share_a_topic() {
    for (one, other, expected) in [
        ("$aws/events/#", "$aws/events/job/#", true),
        ("$aws/events/job/#", "$aws/events/job/+/completed", true),
        ("$aws/events/job/#", "$aws/events/jobExecution/#", false),
        ("$aws/+/job/#", "$aws/events/job/#", true),
        ("#", "$aws/events/job/#", false),
        ("a/+", "+/b", true),
        ("a/b", "a/b/c", false),
        ("a/#", "a", false),
    ] {
        assert_eq!(filter(one).overlaps(&filter(other)), expected, "{one} {other}");
        assert_eq!(filter(other).overlaps(&filter(one)), expected, "{other} {one}");
    }
}

#[test]
fn knows_the_reserved_topics_of_a_thing() {
    let topics = ThingTopics::of(&"lamp-1".parse().unwrap());
    let job: JobId = "j1".parse().unwrap();
    for (topic, expected) in [
        (topics.jobs_get(), "$aws/things/lamp-1/jobs/get"),
        (topics.jobs_start_next(), "$aws/things/lamp-1/jobs/start-next"),
        (topics.job_get(WhichJob::Next).accepted(), "$aws/things/lamp-1/jobs/$next/get/accepted"),
        (
            topics.job_update(WhichJob::Id(&job)).rejected(),
            "$aws/things/lamp-1/jobs/j1/update/rejected",
        ),
        (topics.jobs_notify(), "$aws/things/lamp-1/jobs/notify"),
        (topics.jobs_notify_next(), "$aws/things/lamp-1/jobs/notify-next"),
        (topics.shadow(), "$aws/things/lamp-1/shadow"),
        (topics.named_shadow("config").unwrap(), "$aws/things/lamp-1/shadow/name/config"),
        (
            ThingTopics::of_connected_thing().jobs_get(),
            "$aws/things/${iot:Connection.Thing.ThingName}/jobs/get",
        ),
        (create_keys_and_certificate(), "$aws/certificates/create/json"),
        (create_certificate_from_csr(), "$aws/certificates/create-from-csr/json"),
        (provision("fleet").unwrap(), "$aws/provisioning-templates/fleet/provision/json"),
    ] {
        assert_eq!(topic.as_str(), expected);
        assert_eq!(expected.parse(), Ok(topic));
    }
    assert!(topics.named_shadow("a/b").is_err());
    assert!(provision("a/b").is_err());
}

proptest! {
    #[test]
    fn every_name_is_a_filter_that_matches_itself(text in "[a-z$]{0,5}(/[a-z]{0,5}){0,7}") {
        prop_assume!(!text.is_empty() && !text.starts_with("$share"));
        let name = name(&text);
        prop_assert!(TopicFilter::from(name.clone()).matches(&name));
        let filter = filter(&text);
        prop_assert_eq!(filter.as_str(), name.as_str());
    }

    #[test]
    fn filters_that_match_a_topic_overlap(
        topic in "[ab](/[ab]){0,4}", one in "[ab+](/[ab+]){0,4}(/#)?",
        other in "[ab+](/[ab+]){0,4}(/#)?",
    ) {
        let (topic, one, other) = (name(&topic), filter(&one), filter(&other));
        if one.matches(&topic) && other.matches(&topic) {
            prop_assert!(one.overlaps(&other));
        }
    }

    #[test]
    fn nothing_makes_parsing_panic(text in "\\PC{0,300}") {
        let _ = text.parse::<TopicName>();
        let _ = text.parse::<TopicFilter>();
    }
}
