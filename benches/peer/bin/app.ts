// The peer: the firmware-update system as a CDK user would write it.
//
// The benchmark measures `cdk synth` on it side by side with `iotstack synth`,
// and the tests feed the assembly it makes to `iotstack ls`, `check` and `diff`.
// It is ordinary CDK on purpose: L2 constructs where CDK has them, no tricks
// that would make it slower or faster than what people run.
//
//   PEER_THINGS   things in the fleet (100)
//   PEER_STACKS   1 puts everything into one stack; more adds that many stacks
//                 with the things spread evenly over them (1)
import * as cdk from 'aws-cdk-lib';
import { FirmwareUpdatesStack } from '../lib/firmware-updates-stack';
import { ThingsStack } from '../lib/things-stack';

const things = Number(process.env.PEER_THINGS ?? '100');
const stacks = Number(process.env.PEER_STACKS ?? '1');
const environment = 'dev';

const app = new cdk.App();
const names = Array.from({ length: things }, (_, index) => `device-${String(index + 1).padStart(6, '0')}`);

new FirmwareUpdatesStack(app, `IoTFirmwareUpdatesStack-${environment}`, {
  environment,
  things: stacks === 1 ? names : [],
});

if (stacks > 1) {
  const perStack = Math.ceil(things / stacks);
  for (let index = 0; index < stacks; index += 1) {
    new ThingsStack(app, `IoTFirmwareUpdatesThings-${environment}-${index + 1}`, {
      environment,
      things: names.slice(index * perStack, (index + 1) * perStack),
    });
  }
}

app.synth();
