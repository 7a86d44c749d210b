"""Reads a folder of Parquet in HDFS by Spark and writes its rows as JSON lines: `read_by_spark.py KEPT URL PRINCIPAL KEYTAB KRB5_CONF
HADOOP_CONF`. What folders are named for (`day=...`) are columns of text.
"""
import datetime
import json
import os
import sys
import time

from packages import use
from told import told

PINNED = ["pyspark==4.0.1 --hash=sha256:9d1f22d994f60369228397e3479003ffe2dd736ba79165003246ff7bd48e2c73",
          "py4j==0.10.9.9 --hash=sha256:c7c26e4158defb37b0bb124933163641a2ff6e3a3913f7811b0ddbe07ed61533"]

kept, url, principal, keytab, krb5_conf, hadoop_conf = sys.argv[1:]
packages = use(kept, "pyspark-4.0.1", PINNED)
# Spark gives times as those of the machine's zone, without saying so.
os.environ["TZ"] = "UTC"
time.tzset()
# Its Python processes, and which Spark it is.
os.environ["PYTHONPATH"] = str(packages)
os.environ["SPARK_HOME"] = str(packages / "pyspark")
os.environ["HADOOP_CONF_DIR"] = hadoop_conf
os.environ["SPARK_LOCAL_IP"] = "127.0.0.1"
from pyspark.sql import SparkSession  # noqa: E402

settings = {
    "spark.driver.bindAddress": "127.0.0.1",
    "spark.driver.extraJavaOptions": f"-Djava.security.krb5.conf={krb5_conf}",
    "spark.driver.host": "127.0.0.1",
    "spark.kerberos.keytab": keytab,
    "spark.kerberos.principal": principal,
    "spark.sql.session.timeZone": "UTC",
    "spark.sql.sources.partitionColumnTypeInference.enabled": "false",
    "spark.ui.enabled": "false",
}
builder = SparkSession.builder.master("local[2]")
for name, value in settings.items():
    builder = builder.config(name, value)
spark = builder.getOrCreate()
spark.sparkContext.setLogLevel("ERROR")


def in_utc(value):
    return value.replace(tzinfo=datetime.timezone.utc) if isinstance(value, datetime.datetime) else value


for row in spark.read.parquet(url).collect():
    print(json.dumps(told({name: in_utc(value) for name, value in row.asDict(recursive=True).items()}), ensure_ascii=False))
