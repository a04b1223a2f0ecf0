// The firmware-update stack in CDK: bucket, signing profile, registry entries,
// update manager, job events to mail, dashboard.
//
// The signing profile uses the Lambda platform, the only kind CloudFormation
// accepts besides Notation: with the IoT platform the template would be refused
// by the very deployment this peer stands for.
import * as cdk from 'aws-cdk-lib';
import * as cloudwatch from 'aws-cdk-lib/aws-cloudwatch';
import * as events from 'aws-cdk-lib/aws-events';
import * as targets from 'aws-cdk-lib/aws-events-targets';
import * as iam from 'aws-cdk-lib/aws-iam';
import * as iot from 'aws-cdk-lib/aws-iot';
import * as lambda from 'aws-cdk-lib/aws-lambda';
import * as logs from 'aws-cdk-lib/aws-logs';
import * as s3 from 'aws-cdk-lib/aws-s3';
import * as signer from 'aws-cdk-lib/aws-signer';
import * as sns from 'aws-cdk-lib/aws-sns';
import { Construct } from 'constructs';
import { addThings } from './things-stack';

export interface FirmwareUpdatesStackProps extends cdk.StackProps {
  readonly environment: string;
  readonly things: string[];
}

const MANAGER = `
exports.handler = async (event) => ({
  statusCode: 400,
  body: JSON.stringify({ message: 'unknown action ' + event.action }),
});
`;

export class FirmwareUpdatesStack extends cdk.Stack {
  constructor(scope: Construct, id: string, props: FirmwareUpdatesStackProps) {
    super(scope, id, props);
    const { environment } = props;

    const firmware = new s3.Bucket(this, 'FirmwareBucket', {
      versioned: true,
      encryption: s3.BucketEncryption.S3_MANAGED,
      blockPublicAccess: s3.BlockPublicAccess.BLOCK_ALL,
      enforceSSL: true,
      lifecycleRules: [
        {
          id: 'old-versions',
          noncurrentVersionTransitions: [
            { storageClass: s3.StorageClass.INTELLIGENT_TIERING, transitionAfter: cdk.Duration.days(30) },
          ],
          abortIncompleteMultipartUploadAfter: cdk.Duration.days(7),
        },
      ],
      removalPolicy: cdk.RemovalPolicy.DESTROY,
    });

    const profile = new signer.SigningProfile(this, 'SigningProfile', {
      platform: signer.Platform.AWS_LAMBDA_SHA384_ECDSA,
    });

    const thingType = new iot.CfnThingType(this, 'DeviceType', {
      thingTypeName: `${environment}-device`,
      thingTypeProperties: { thingTypeDescription: 'Devices that take firmware updates' },
    });
    const group = new iot.CfnThingGroup(this, 'DeviceGroup', {
      thingGroupName: `${environment}-devices`,
      thingGroupProperties: { thingGroupDescription: 'Devices that take firmware updates' },
    });
    addThings(this, environment, props.things);

    const client = '${iot:Connection.Thing.ThingName}';
    const arn = (kind: string, rest: string) => `arn:${this.partition}:iot:${this.region}:${this.account}:${kind}/${rest}`;
    new iot.CfnPolicy(this, 'DevicePolicy', {
      policyName: `${environment}-device`,
      policyDocument: {
        Version: '2012-10-17',
        Statement: [
          { Effect: 'Allow', Action: 'iot:Connect', Resource: arn('client', client) },
          {
            Effect: 'Allow',
            Action: ['iot:Publish', 'iot:Receive'],
            Resource: arn('topic', `$aws/things/${client}/jobs/*`),
          },
          { Effect: 'Allow', Action: 'iot:Subscribe', Resource: arn('topicfilter', `$aws/things/${client}/jobs/*`) },
        ],
      },
    });

    const presigner = new iam.Role(this, 'Presigner', {
      assumedBy: new iam.ServicePrincipal('iot.amazonaws.com', {
        conditions: { StringEquals: { 'aws:SourceAccount': this.account } },
      }),
    });
    firmware.grantRead(presigner);

    const logGroup = new logs.LogGroup(this, 'ManagerLogs', {
      retention: logs.RetentionDays.ONE_MONTH,
      removalPolicy: cdk.RemovalPolicy.DESTROY,
    });
    const manager = new lambda.Function(this, 'Manager', {
      runtime: lambda.Runtime.NODEJS_22_X,
      handler: 'index.handler',
      code: lambda.Code.fromInline(MANAGER),
      timeout: cdk.Duration.seconds(30),
      memorySize: 256,
      reservedConcurrentExecutions: 5,
      logGroup,
      environment: {
        FIRMWARE_BUCKET: firmware.bucketName,
        PRESIGNER_ROLE: presigner.roleArn,
        SIGNING_PROFILE: profile.signingProfileName,
      },
    });
    firmware.grantRead(manager);
    manager.addToRolePolicy(
      new iam.PolicyStatement({
        actions: ['iot:CreateJob'],
        resources: [arn('job', `${environment}-*`), group.attrArn],
      }),
    );
    manager.addToRolePolicy(
      new iam.PolicyStatement({
        actions: ['iot:DescribeJob', 'iot:CancelJob'],
        resources: [arn('job', `${environment}-*`)],
      }),
    );
    presigner.grantPassRole(manager.grantPrincipal);

    const topic = new sns.Topic(this, 'JobNews', { enforceSSL: true });
    for (const [name, outcome] of [['Completed', 'COMPLETED'], ['Failed', 'FAILED'], ['Canceled', 'CANCELED']]) {
      new events.Rule(this, `OnJob${name}`, {
        eventPattern: { source: ['firmware.jobs'], detail: { status: [outcome] } },
        targets: [new targets.SnsTopic(topic)],
      });
    }
    const rule = new iot.CfnTopicRule(this, 'JobEvents', {
      topicRulePayload: {
        sql: "SELECT * FROM '$aws/events/job/#'",
        awsIotSqlVersion: '2016-03-23',
        actions: [{ lambda: { functionArn: manager.functionArn } }],
      },
    });
    manager.addPermission('FromIot', {
      principal: new iam.ServicePrincipal('iot.amazonaws.com'),
      sourceArn: rule.attrArn,
      sourceAccount: this.account,
    });

    const dashboard = new cloudwatch.Dashboard(this, 'Dashboard', { dashboardName: `firmware-updates-${environment}` });
    dashboard.addWidgets(
      new cloudwatch.GraphWidget({ title: 'Manager', left: [manager.metricInvocations(), manager.metricErrors()] }),
      new cloudwatch.GraphWidget({ title: 'Duration', left: [manager.metricDuration()] }),
    );

    new cdk.CfnOutput(this, 'FirmwareBucketName', { value: firmware.bucketName });
    new cdk.CfnOutput(this, 'SigningProfileName', { value: profile.signingProfileName });
    new cdk.CfnOutput(this, 'LambdaFunctionName', { value: manager.functionName });
    new cdk.CfnOutput(this, 'ThingGroupName', { value: group.ref });
    new cdk.CfnOutput(this, 'ThingTypeName', { value: thingType.ref });
    new cdk.CfnOutput(this, 'SnsTopicArn', { value: topic.topicArn });
    new cdk.CfnOutput(this, 'DashboardURL', {
      value: `https://${this.region}.console.aws.amazon.com/cloudwatch/home#dashboards:name=${dashboard.dashboardName}`,
    });
  }
}
