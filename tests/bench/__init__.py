"""Side by side with Apache Kafka in one run: what a gigabyte costs, and what standing by costs."""
