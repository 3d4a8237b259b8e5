//! Whatever happens to the ingesters, the tables hold each event once.

mod common;

use std::{
    env, fs,
    io::{BufRead as _, BufReader},
    process::{Command, Stdio},
    time::{Duration, Instant},
};

use common::{Bed, Ingester, PATIENCE, Speaker};
use rdkafka::{
    ClientConfig, ClientContext, TopicPartitionList,
    config::RDKafkaLogLevel,
    consumer::{BaseConsumer, Consumer as _, ConsumerContext},
    types::RDKafkaRespErr,
};

/// Publishes the stories of four peers, interleaved; how many records that is.
fn publish(bed: &Bed, updates: u32) {
    let producer = bed.producer();
    let mut stories: Vec<_> =
        (1..=4).map(|n| Speaker::new(n, n).story(updates).into_iter()).collect();
    let mut more = true;
    while more {
        more = false;
        for story in &mut stories {
            for event in story.by_ref().take(5) {
                more = true;
                producer.send(&event);
            }
        }
    }
    producer.flush();
}

/// What the topic becomes when nothing disturbs the ingester.
async fn undisturbed(bed: &Bed) -> Vec<(String, i64, String)> {
    let beside = bed.beside().await;
    let ingester = beside.ingester(&[]);
    beside.wait_until_stored().await;
    assert_eq!(ingester.stop(), Some(0));
    beside.digest().await
}

#[tokio::test(flavor = "multi_thread")]
async fn an_ingester_that_is_killed_at_random_moments_leaves_the_same_rows() {
    let bed = Bed::new(3).await;
    publish(&bed, 20_000);
    let total: i64 = bed.kafka.lengths(&bed.topic).await.unwrap().iter().sum();
    // Small batches, so that there are many moments to be killed at.
    bed.store_by_ingesters_that_are_killed(total, &["--batch-rows", "2000"]).await;
    assert_eq!(bed.digest().await, undisturbed(&bed).await);
}

#[tokio::test(flavor = "multi_thread")]
async fn ingesters_that_come_and_go_leave_the_same_rows() {
    let bed = Bed::new(6).await;
    publish(&bed, 30_000);
    let total: i64 = bed.kafka.lengths(&bed.topic).await.unwrap().iter().sum();
    let arguments = ["--batch-rows", "500"];
    let first = bed.ingester(&arguments);
    common::wait_for("a start", async || bed.stored().await > 0).await;
    let second = bed.ingester(&arguments);
    let half = bed.stored().await + (total - bed.stored().await) / 2;
    common::wait_for("half", async || bed.stored().await > half).await;
    assert_eq!(first.stop(), Some(0));
    let third = bed.ingester(&arguments);
    bed.wait_until_stored().await;
    assert_eq!((second.stop(), third.stop()), (Some(0), Some(0)));
    assert_eq!(bed.digest().await, undisturbed(&bed).await);
}

#[tokio::test(flavor = "multi_thread")]
async fn an_ingester_that_slept_through_the_loss_of_its_partitions_cannot_write_them() {
    let bed = Bed::new(2).await;
    let arguments = ["--batch-age", "300ms"];
    let zombie = bed.ingester(&arguments);
    publish(&bed, 200);
    bed.wait_until_stored().await;
    // It sleeps with records read and not committed, another takes over, it wakes.
    publish_more(&bed, 1000);
    tokio::time::sleep(Duration::from_millis(150)).await;
    zombie.pause();
    let heir = bed.ingester(&arguments);
    bed.wait_until_stored().await;
    zombie.resume();
    tokio::time::sleep(Duration::from_secs(2)).await;
    publish_more(&bed, 2000);
    bed.wait_until_stored().await;
    assert_eq!((zombie.stop(), heir.stop()), (Some(0), Some(0)));
    assert_eq!(bed.digest().await, undisturbed(&bed).await);
}

fn publish_more(bed: &Bed, sequence: u64) {
    let producer = bed.producer();
    for number in 1..=4 {
        let mut speaker = Speaker::new(number, number);
        speaker.sequence = sequence;
        for first in 0..50 {
            producer.send(&speaker.announce(first..first + 3));
        }
    }
    producer.flush();
}

/// Dies when it is to let a partition go.
struct Mortal;

impl ClientContext for Mortal {
    fn log(&self, _level: RDKafkaLogLevel, _facility: &str, _message: &str) {}
}

impl ConsumerContext for Mortal {
    fn rebalance(
        &self,
        consumer: &BaseConsumer<Self>,
        error: RDKafkaRespErr,
        partitions: &mut TopicPartitionList,
    ) {
        if error != RDKafkaRespErr::RD_KAFKA_RESP_ERR__ASSIGN_PARTITIONS {
            std::process::abort();
        }
        consumer.incremental_assign(partitions).unwrap();
        println!("assigned");
    }
}

const MORTAL: [&str; 3] = ["MORTAL_BROKERS", "MORTAL_GROUP", "MORTAL_TOPIC"];

/// A member that dies when it is to let a partition go, in a process of its own.
fn die_when_a_partition_goes([brokers, group, topic]: [String; 3]) {
    let member: BaseConsumer<Mortal> = ClientConfig::new()
        .set("bootstrap.servers", brokers)
        .set("group.id", group)
        .set("group.instance.id", "one")
        .set("partition.assignment.strategy", "cooperative-sticky")
        .set("enable.auto.commit", "false")
        .create_with_context(Mortal)
        .unwrap();
    member.subscribe(&[&topic]).unwrap();
    let begun = Instant::now();
    while begun.elapsed() < PATIENCE {
        // It leaves the records to who comes after it.
        member.poll(Duration::from_millis(100));
    }
}

/// The broker gives a member that comes back under its name what it was given last, without a
/// rebalance (KIP-345): what it had let go before it died is nobody's then.
#[tokio::test(flavor = "multi_thread")]
async fn partitions_that_a_named_member_let_go_before_it_died_are_read_all_the_same() {
    // The process that this test starts is this test again.
    if let [Ok(brokers), Ok(group), Ok(topic)] = MORTAL.map(env::var) {
        return die_when_a_partition_goes([brokers, group, topic]);
    }
    let bed = Bed::new(4).await;
    publish(&bed, 500);
    let values = [bed.kafka.brokers(), &bed.group, &bed.topic];
    let mut member = Command::new(env::current_exe().unwrap())
        .args(["--exact", "--nocapture"])
        .arg("partitions_that_a_named_member_let_go_before_it_died_are_read_all_the_same")
        .envs(MORTAL.into_iter().zip(values))
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let output = BufReader::new(member.stdout.take().unwrap());
    assert!(output.lines().any(|line| line.unwrap().contains("assigned")));

    let log = env::temp_dir().join(format!("{}.log", bed.topic));
    let ingester = |name: &str| {
        let log = fs::File::options().create(true).append(true).open(&log).unwrap();
        let instance = format!("group.instance.id={name}");
        let mut command = bed.command();
        command.args(["--http", "127.0.0.1:0", "--kafka-property", &instance]);
        Ingester::spawn(command.stderr(log))
    };
    let two = ingester("two");
    assert!(!member.wait().unwrap().success());
    let one = ingester("one");
    bed.wait_until_stored().await;
    assert_eq!((one.stop(), two.stop()), (Some(0), Some(0)));
    let told = fs::read_to_string(&log).unwrap();
    assert!(told.contains("no member of the group has these partitions"), "{told}");
    fs::remove_file(&log).unwrap();
}
