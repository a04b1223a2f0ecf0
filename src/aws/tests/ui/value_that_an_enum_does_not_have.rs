//! A value that AWS does not know, as a variant and as text.

use iotstack_aws::cloudwatch::{CfnAlarm, CfnAlarmTreatMissingData};

fn main() {
    let _ = CfnAlarm::new().treat_missing_data(CfnAlarmTreatMissingData::Sometimes);
    let _ = CfnAlarm::new().treat_missing_data("sometimes");
}
