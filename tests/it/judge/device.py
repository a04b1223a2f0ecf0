"""A device that AWS's own Python SDK drives: claims a certificate, keeps a shadow, runs a job.

Reads one JSON object from standard input: host, port, authority (PEM), claim
{certificate, key}, template, serial, clientId, and prints one line of JSON for each step
as soon as it is done. Every wait has an end.
"""

import json
import sys
import tempfile
from concurrent.futures import Future

from awscrt import mqtt
from awsiot import iotidentity, iotjobs, iotshadow, mqtt_connection_builder

PATIENCE = 30
QOS = mqtt.QoS.AT_LEAST_ONCE


def tell(step, **facts):
    print(json.dumps({"step": step, **facts}), flush=True)


def file_of(text):
    file = tempfile.NamedTemporaryFile("w", suffix=".pem", delete=False)
    file.write(text)
    file.close()
    return file.name


def connect(order, certificate, key, client_id):
    connection = mqtt_connection_builder.mtls_from_path(
        endpoint=order["host"],
        port=order["port"],
        cert_filepath=file_of(certificate),
        pri_key_filepath=file_of(key),
        ca_filepath=file_of(order["authority"]),
        client_id=client_id,
        clean_session=True,
        keep_alive_secs=30,
    )
    connection.connect().result(PATIENCE)
    return connection


def wait_for(subscribe_accepted, subscribe_rejected, subscription, publish):
    """Subscribes to both answers, publishes, and gives the accepted one."""
    answer = Future()

    def accepted(response):
        if not answer.done():
            answer.set_result(response)

    def rejected(error):
        if not answer.done():
            answer.set_exception(RuntimeError(str(vars(error))))

    for subscribe, callback in ((subscribe_accepted, accepted), (subscribe_rejected, rejected)):
        subscribed, _ = subscribe(subscription, QOS, callback)
        subscribed.result(PATIENCE)
    publish().result(PATIENCE)
    return answer.result(PATIENCE)


def provision(order):
    claim = order["claim"]
    connection = connect(order, claim["certificate"], claim["key"], order["clientId"])
    client = iotidentity.IotIdentityClient(connection)
    keys = wait_for(
        client.subscribe_to_create_keys_and_certificate_accepted,
        client.subscribe_to_create_keys_and_certificate_rejected,
        iotidentity.CreateKeysAndCertificateSubscriptionRequest(),
        lambda: client.publish_create_keys_and_certificate(
            iotidentity.CreateKeysAndCertificateRequest(), QOS
        ),
    )
    tell("keys", certificateId=keys.certificate_id)
    registered = wait_for(
        client.subscribe_to_register_thing_accepted,
        client.subscribe_to_register_thing_rejected,
        iotidentity.RegisterThingSubscriptionRequest(template_name=order["template"]),
        lambda: client.publish_register_thing(
            iotidentity.RegisterThingRequest(
                template_name=order["template"],
                certificate_ownership_token=keys.certificate_ownership_token,
                parameters={"SerialNumber": order["serial"]},
            ),
            QOS,
        ),
    )
    tell("registered", thing=registered.thing_name)
    connection.disconnect().result(PATIENCE)
    return registered.thing_name, keys.certificate_pem, keys.private_key


def keep_shadow(connection, thing):
    client = iotshadow.IotShadowClient(connection)
    updated = wait_for(
        client.subscribe_to_update_shadow_accepted,
        client.subscribe_to_update_shadow_rejected,
        iotshadow.UpdateShadowSubscriptionRequest(thing_name=thing),
        lambda: client.publish_update_shadow(
            iotshadow.UpdateShadowRequest(
                thing_name=thing,
                state=iotshadow.ShadowState(reported={"firmware": {"version": "1.0.0"}}),
            ),
            QOS,
        ),
    )
    tell("shadow", version=updated.version)
    got = wait_for(
        client.subscribe_to_get_shadow_accepted,
        client.subscribe_to_get_shadow_rejected,
        iotshadow.GetShadowSubscriptionRequest(thing_name=thing),
        lambda: client.publish_get_shadow(iotshadow.GetShadowRequest(thing_name=thing), QOS),
    )
    tell("reported", reported=got.state.reported)


def run_job(connection, thing):
    client = iotjobs.IotJobsClient(connection)
    notified = Future()

    def notify(event):
        if event.execution is not None and not notified.done():
            notified.set_result(event.execution.job_id)

    subscribed, _ = client.subscribe_to_next_job_execution_changed_events(
        iotjobs.NextJobExecutionChangedSubscriptionRequest(thing_name=thing), QOS, notify
    )
    subscribed.result(PATIENCE)
    tell("listening")
    job = notified.result(PATIENCE)
    tell("notified", job=job)
    started = wait_for(
        client.subscribe_to_start_next_pending_job_execution_accepted,
        client.subscribe_to_start_next_pending_job_execution_rejected,
        iotjobs.StartNextPendingJobExecutionSubscriptionRequest(thing_name=thing),
        lambda: client.publish_start_next_pending_job_execution(
            iotjobs.StartNextPendingJobExecutionRequest(thing_name=thing), QOS
        ),
    )
    execution = started.execution
    tell("started", job=execution.job_id, document=execution.job_document)
    wait_for(
        client.subscribe_to_update_job_execution_accepted,
        client.subscribe_to_update_job_execution_rejected,
        iotjobs.UpdateJobExecutionSubscriptionRequest(thing_name=thing, job_id=job),
        lambda: client.publish_update_job_execution(
            iotjobs.UpdateJobExecutionRequest(
                thing_name=thing,
                job_id=job,
                status=iotjobs.JobStatus.SUCCEEDED,
                expected_version=execution.version_number,
                execution_number=execution.execution_number,
                status_details={"reason": "accepted"},
            ),
            QOS,
        ),
    )
    tell("updated", job=job)


def main():
    order = json.loads(sys.stdin.readline())
    thing, certificate, key = provision(order)
    connection = connect(order, certificate, key, thing)
    keep_shadow(connection, thing)
    run_job(connection, thing)
    connection.disconnect().result(PATIENCE)
    tell("done")


main()
