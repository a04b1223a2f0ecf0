//! Where to find the test of a rule of AWS IoT Jobs.
//!
//! The engine and the wires share the rules, so one list leads into both crates: below
//! each rule stand the tests that would fail without it, as path and name, or, after
//! `not:`, why there is none. That the tests exist is a test too.

use std::fs;
use std::path::Path;

const RULES: &str = "
## The control plane

Every operation has its method, path and query
    local/jobs/tests/operations::every_operation_answers_at_its_path
    local/jobs/tests/control::a_job_lives_and_dies_over_http
Every refusal has its exception and its HTTP status, limits 410, templates 500 in place of 503
    local/jobs/error::every_refusal_has_its_code_on_each_wire
    local/jobs/tests/control::refusals_have_the_status_of_the_service
    local/jobs/tests/operations::quotas_of_templates_and_deletions_are_limits
ThrottlingException: a request is never refused because there were many
    local/jobs/tests/operations::nobody_is_throttled_by_the_number_of_requests
A job id is taken until the job is deleted
    jobs/tests/control::an_id_is_taken_until_the_job_is_deleted
namespaceId picks jobs and executions; where a job is named already it changes nothing
    local/jobs/tests/operations::lists_are_asked_for_by_namespace_and_group
    local/jobs/tests/operations::every_operation_answers_at_its_path
thingGroupId is refused by its name, as the registry shows groups by name only
    local/jobs/tests/operations::lists_are_asked_for_by_namespace_and_group
Lists come in pages of at most 250
    jobs/tests/control::lists_come_in_pages
    jobs/tests/control::a_list_goes_on_behind_an_entry_that_was_deleted
A device's certificate opens nothing
    local/jobs/tests/control::a_certificate_opens_nothing_of_the_control_plane

## CreateJob

Every field has its limits, which hold for UpdateJob and CreateJobTemplate as well
    jobs/tests/limits::every_limit_of_a_job_holds_at_its_edge
    jobs/tests/limits::a_change_and_a_template_have_the_limits_of_a_job
    jobs/tests/control::requests_that_the_service_refuses_change_nothing
    jobs/config::refuses_what_lies_outside_and_names_it
A job id has 1 to 64 letters, digits, _ and -
    jobs/tests/limits::ids_have_at_most_64_characters
At most 100 targets, all of which exist
    jobs/tests/control::requests_that_the_service_refuses_change_nothing
A document comes from the request, from S3 once, or from a template
    local/jobs/tests/control::a_document_is_fetched_once
    jobs/tests/templates::a_job_takes_from_its_template_what_it_does_not_say
documentParameters is for managed templates only
    jobs/tests/control::requests_that_the_service_refuses_change_nothing
    jobs/tests/limits::parameters_of_managed_templates_end_somewhere
destinationPackageVersions holds at most 25 ARNs of package versions
    jobs/tests/limits::every_limit_of_a_job_holds_at_its_edge
A package version is PUBLISHED or DEPRECATED, and the shadow $package follows it
    not: the local cloud keeps no software packages; their operations are refused by name
DescribeJob shows all of it, without the document
    jobs/tests/control::everything_that_a_job_was_told_is_shown
    jobs/tests/control::a_job_is_shown_as_the_api_shows_it

## UpdateJob

An active job is changed; what is not said stays
    jobs/tests/rollout::a_job_is_changed_while_it_is_active_only
Another rate holds from then on, and its growth is worked out again
    jobs/tests/rollout::another_rate_holds_from_its_change_on
    jobs/tests/rollout::a_rate_that_has_grown_by_other_rules_is_worked_out_again
Another timeout is for executions that start later
    jobs/tests/device::a_new_timeout_is_for_executions_that_start_later
Retries can only be lowered to 0
    jobs/tests/rollout::retries_can_only_be_lowered_to_zero

## Rollout

No minute holds more than maximumPerMinute, 1000 if nothing is said
    jobs/tests/model/mod::the_engine_agrees_with_the_model
    jobs/rollout::no_minute_holds_more_than_the_rate
    jobs/rollout::without_a_configuration_a_thousand_a_minute_are_told
    jobs/tests/rollout::things_are_told_at_the_rate_of_the_job
    jobs/tests/rollout::a_late_advance_does_not_catch_up
The rate grows with notifications or successes, whichever comes first
    jobs/rollout::the_rate_grows_as_in_the_worked_example
    jobs/rollout::either_criterion_raises_the_rate
    jobs/tests/rollout::successes_raise_the_rate_at_once
    jobs/tests/rollout::a_rate_that_grows_with_notifications_grows_within_a_batch
A thing that joins a continuous job after its first rollout does not wait
    jobs/tests/membership::a_thing_that_joins_gets_the_job_at_once_and_outside_of_the_rate
    jobs/tests/membership::a_thing_that_joins_during_the_first_rollout_waits_for_its_turn
A job beyond the concurrent ones waits; isConcurrent tells
    jobs/tests/rollout::a_job_beyond_the_concurrent_ones_waits_for_its_turn

## Abort

Criteria are examined in their order, once enough executions have ended
    jobs/tests/rollout::criteria_are_examined_in_their_order
FAILED, REJECTED and TIMED_OUT count for themselves, all of them for ALL
    jobs/tests/rollout::each_kind_of_failure_counts_for_its_own_criterion_and_for_that_of_all
    jobs/tests/rollout::a_rejection_is_no_failure_for_a_criterion_of_failures
    jobs/tests/rollout::all_failures_count_for_a_criterion_of_all
At the threshold the job is cancelled; devices at work go on
    jobs/tests/rollout::a_job_stops_itself_at_the_threshold
Things that wait and retries are dropped
    jobs/tests/rollout::an_abort_drops_things_that_were_not_told_and_retries
Executions that were deleted count no more
    jobs/tests/rollout::executions_that_were_deleted_count_no_more

## Executions

A device reports IN_PROGRESS, SUCCEEDED, FAILED and REJECTED; nothing leaves an end state
    jobs/tests/device::every_move_of_a_device_is_judged
    jobs/tests/device::rejects_a_second_answer_to_the_same_execution
Versions begin at 1 and grow by one with each accepted update
    jobs/tests/device::versions_begin_at_one_and_grow_with_every_accepted_update
Another expectedVersion is a mismatch; it may be a text
    jobs/tests/device::another_expected_version_is_a_mismatch_that_tells_the_state
    local/jobs/tests/topics::a_device_is_told_starts_and_succeeds
statusDetails has at most 10 pairs, keys of 128, values of 1024, no control characters
    jobs/tests/limits::whoever_reports_details_keeps_their_limits
    jobs/text::what_nobody_can_see_is_refused
    local/jobs/tests/topics::refusals_have_the_codes_of_the_service
statusDetails stays until others are sent
    jobs/tests/device::details_stay_until_others_are_sent
A thing that leaves or is deleted is REMOVED and may begin again
    jobs/tests/membership::a_thing_that_leaves_before_it_has_finished_is_removed_and_may_begin_again
    jobs/tests/membership::a_deleted_thing_is_removed_from_every_job
    local/jobs/tests/life::things_that_join_and_leave_are_noticed

## Timers and retries

The in-progress timer runs from the start and is not extended
    jobs/tests/device::the_in_progress_timer_runs_from_the_start_and_is_not_extended
    local/jobs/tests/life::a_device_that_takes_too_long_is_timed_out
A step timer is replaced, kept or stopped, and lengthens nothing
    jobs/tests/device::a_step_timer_is_replaced_kept_and_stopped
    jobs/tests/device::a_step_timer_does_not_lengthen_the_in_progress_timer
Devices see how many seconds are left
    local/jobs/tests/topics::a_device_sees_how_much_time_is_left
FAILED and TIMED_OUT are retried, up to 10 times; nothing else is
    jobs/tests/rollout::failures_and_timeouts_are_retried_as_often_as_allowed
    jobs/tests/rollout::every_attempt_is_kept_under_its_number
Leaving and coming back resets the retries
    jobs/tests/membership::leaving_and_coming_back_resets_the_retries
A retry outside of a maintenance window waits for the next
    jobs/tests/schedule::a_retry_outside_of_a_window_waits_for_the_next

## Jobs as a whole

A snapshot job is COMPLETED when everything has ended
    jobs/tests/control::a_snapshot_job_is_completed_when_everything_has_ended
A continuous job without an end never is
    jobs/tests/membership::a_continuous_job_never_completes_by_itself
Targets are added to continuous jobs in progress, before their end
    jobs/tests/control::targets_are_added_to_continuous_jobs_in_progress_only
    jobs/tests/schedule::after_its_end_a_job_takes_no_more_targets
    local/jobs/tests/operations::every_operation_answers_at_its_path
CancelJob ends what is queued, by force what is in progress
    jobs/tests/control::cancelling_leaves_devices_at_work_alone
    jobs/tests/control::a_forced_cancel_ends_everything_and_no_device_can_report_any_more
    jobs/tests/control::reasons_are_judged
    jobs/tests/limits::comments_and_reasons_end_somewhere
CancelJobExecution does so for one thing
    jobs/tests/control::one_execution_is_cancelled_by_the_rules
    local/jobs/tests/operations::an_execution_in_progress_is_cancelled_by_force_only
DeleteJob needs an end or force, ten at a time
    jobs/tests/control::a_job_is_deleted_when_it_has_ended_or_by_force
    jobs/tests/control::only_ten_jobs_are_deleted_at_the_same_time
DeleteJobExecution needs an end state or force
    jobs/tests/control::one_execution_is_deleted_by_the_rules
    jobs/tests/control::deleting_an_attempt_shows_the_one_before
Ended jobs are kept for 730 days
    jobs/tests/control::ended_jobs_are_kept_for_two_years

## Devices over MQTT

Requests and answers, to the letter; $next stays in the topic
    local/jobs/tests/topics::a_device_is_told_starts_and_succeeds
    local/jobs/tests/topics::the_lists_and_one_execution_are_answered
    local/jobs/tests/topics::whatever_a_device_sends_is_answered_once
    local/jobs/tests/topics::other_topics_belong_to_others
Start-next takes what is in progress first, then the oldest
    jobs/tests/device::start_next_takes_what_is_in_progress_before_what_was_queued_first
Every refusal has its code, two of them the state
    local/jobs/tests/topics::refusals_have_the_codes_of_the_service
    local/jobs/error::every_refusal_has_its_code_on_each_wire
RequestThrottled: only when so many requests wait that no more fit
    local/jobs/tests/topics::a_flood_is_throttled_and_every_request_is_answered
An execution that has ended is not described
    jobs/tests/device::describing_an_execution_that_has_ended_is_refused
notify and notify-next, line by line
    jobs/tests/notify::the_first_job_is_told_in_both_ways
    jobs/tests/notify::a_job_behind_another_changes_the_list_only
    jobs/tests/notify::starting_the_first_one_tells_nothing
    jobs/tests/notify::another_one_that_starts_becomes_the_next
    jobs/tests/notify::the_end_of_the_first_one_is_told_in_both_ways
    jobs/tests/notify::the_end_of_another_one_changes_the_list_only
    jobs/tests/notify::an_empty_list_is_told_in_both_ways
At most ten executions are listed
    local/jobs/tests/topics::a_notification_lists_at_most_ten_executions
Jobs with a namespace have a topic of their own
    jobs/tests/notify::a_job_with_a_namespace_speaks_on_a_topic_of_its_own
    local/jobs/tests/topics::a_job_with_a_namespace_is_told_on_a_topic_of_its_own

## Devices over HTTP

The four requests; documents are texts
    local/jobs/tests/data::a_device_updates_itself_over_http
Every refusal has its status; commands are refused by name
    local/jobs/tests/data::refusals_have_the_status_of_the_data_plane
Each request has its permission on the thing
    local/jobs/tests/data::a_device_needs_the_permission_for_its_thing

## Schedules

Start, end, windows: how far ahead, how long, and who may have them
    jobs/schedule::refuses_schedules_that_the_service_refuses
    jobs/tests/limits::every_limit_of_a_job_holds_at_its_edge
A job is SCHEDULED before its start and between windows
    jobs/tests/schedule::a_job_waits_for_its_start_time
    jobs/tests/schedule::things_are_told_in_maintenance_windows_only
    jobs/schedule::a_window_opens_and_closes
The end stops the rollout, cancels, or cancels by force
    jobs/tests/schedule::at_its_end_a_job_stops_telling_things
    jobs/tests/schedule::at_its_end_a_job_is_cancelled_if_it_says_so
    jobs/tests/schedule::a_continuous_job_with_an_end_completes

## Templates

A template is judged, kept, listed and deleted; at most 100
    jobs/tests/templates::a_template_is_judged_kept_listed_and_deleted
    local/jobs/tests/operations::quotas_of_templates_and_deletions_are_limits
It can be made from a job
    jobs/tests/templates::a_template_can_be_made_from_a_job
What CreateJob says wins
    jobs/tests/templates::a_job_takes_from_its_template_what_it_does_not_say
Each of the eight managed templates has its document and its parameters
    jobs/managed::every_template_becomes_the_document_that_its_handler_reads
    jobs/managed::a_command_needs_no_handler
    jobs/managed::parameters_are_judged
    local/jobs/tests/control::managed_templates_are_listed_described_and_filled

## Placeholders

Every form names its object; uploads bind their variables
    jobs/document::finds_the_object_of_every_form
    jobs/document::binds_the_variables_of_an_upload
    jobs/document::refuses_documents_that_could_never_be_handed_out
URLs are signed when a device asks, and nowhere else
    local/jobs/tests/topics::a_url_is_signed_when_the_device_asks
    local/jobs/tests/topics::a_place_for_an_upload_is_bound_to_the_execution
    jobs/document::replaces_only_placeholders_wherever_they_stand
The role of presigned URLs is assumed to sign them
    not: the local cloud signs by itself, as it says where the service begins

## Events and metrics

Events are off until they are enabled
    local/jobs/tests/life::events_are_published_when_they_are_enabled
Job events: completed, canceled, deleted, and the two that begin those
    local/jobs/tests/life::events_are_published_when_they_are_enabled
    local/jobs/tests/life::a_cancelled_and_deleted_job_says_so
Execution events: all seven
    local/jobs/tests/events::every_end_of_an_execution_has_its_event
Each state but TIMED_OUT has a count and a total
    local/jobs/tests/events::every_state_with_a_metric_is_counted
    local/jobs/tests/life::metrics_count_what_has_changed
ClientErrorCount and ServerErrorCount
    local/jobs/tests/events::errors_are_counted_by_whose_they_are

## Quotas

Active, concurrent and deleting jobs, targets, templates
    jobs/tests/limits::the_quotas_are_those_of_the_service
Requests in a second
    not: nobody is throttled by their number, as it says where the service begins

## Whatever happens

Counters equal a recount, versions only grow, nothing leaves an end state
    jobs/tests/model/mod::the_engine_agrees_with_the_model
Every execution ends or waits for its device
    jobs/tests/model/mod::the_engine_agrees_with_the_model
The same inputs give the same effects and records, and records give the same service
    jobs/tests/model/mod::the_same_inputs_make_the_same_effects_and_records
    jobs/tests/restore::a_rollout_goes_on_where_it_was_killed
    local/jobs/tests/life::what_was_answered_survives_a_kill_at_any_moment
";

#[test]
fn every_rule_leads_to_tests_that_exist() {
    let source = Path::new(env!("CARGO_MANIFEST_DIR")).join("../..");
    let (mut lost, mut bare) = (Vec::new(), Vec::new());
    let mut rule: Option<&str> = None;
    for line in RULES.lines().filter(|line| !line.is_empty()) {
        match line.strip_prefix("    ") {
            Some(proof) => {
                rule = None;
                if !proof.starts_with("not: ") && !is_test(&source, proof) {
                    lost.push(proof);
                }
            }
            None if line.starts_with("## ") => bare.extend(rule.take()),
            None => bare.extend(rule.replace(line)),
        }
    }
    bare.extend(rule);
    assert!(lost.is_empty(), "there is no such test: {lost:#?}");
    assert!(bare.is_empty(), "a rule without a test: {bare:#?}");
    assert!(!is_test(&source, "jobs/managed::there_is_no_such_test"));
    assert!(!is_test(&source, "jobs/managed::find"), "a function is no test");
}

/// Whether a path and a name, such as `jobs/managed::parameters_are_judged`, are a test.
fn is_test(source: &Path, proof: &str) -> bool {
    let Some((file, test)) = proof.split_once("::") else { return false };
    let Ok(text) = fs::read_to_string(source.join(file).with_extension("rs")) else { return false };
    let Some(at) = text.find(&format!("fn {test}(")) else { return false };
    let before = text[..at].trim_end().trim_end_matches("async").trim_end();
    before.ends_with("test]")
}
