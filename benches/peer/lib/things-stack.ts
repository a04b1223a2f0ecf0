// Things only: what a CDK user writes by hand once a fleet outgrows one stack.
import * as cdk from 'aws-cdk-lib';
import * as iot from 'aws-cdk-lib/aws-iot';
import { Construct } from 'constructs';

export interface ThingsStackProps extends cdk.StackProps {
  readonly environment: string;
  readonly things: string[];
}

export class ThingsStack extends cdk.Stack {
  constructor(scope: Construct, id: string, props: ThingsStackProps) {
    super(scope, id, props);
    addThings(this, props.environment, props.things);
  }
}

/** Adds one `AWS::IoT::Thing` per name. */
export function addThings(scope: Construct, environment: string, names: string[]): void {
  for (const name of names) {
    new iot.CfnThing(scope, `Thing-${name}`, {
      thingName: `${environment}-${name}`,
      attributePayload: { attributes: { environment, firmware: 'unknown' } },
    });
  }
}
