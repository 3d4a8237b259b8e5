// Command tap prints the routes of Ribstream's events topic, one line each, as they come.
//
//	protoc -I proto --go_out=docs/examples/go --go_opt=module=example.org/ribstream-tap \
//	    $(for f in proto/ribstream/v1/*.proto; do
//	        echo "--go_opt=M${f#proto/}=example.org/ribstream-tap/ribstreamv1"; done) \
//	    proto/ribstream/v1/*.proto
//	cd docs/examples/go && go mod tidy && go run . -brokers localhost:9092 -from-beginning -to-end
//
// It joins no consumer group, so it disturbs nobody. One that shares the work with others of its
// kind, and goes on where it was, has kgo.ConsumerGroup in place of kgo.ConsumePartitions.
package main

import (
	"bufio"
	"context"
	"flag"
	"fmt"
	"log"
	"net/netip"
	"os"
	"os/signal"
	"strconv"
	"strings"

	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kgo"
	"google.golang.org/protobuf/proto"

	pb "example.org/ribstream-tap/ribstreamv1"
)

func main() {
	brokers := flag.String("brokers", "localhost:9092", "host:port, separated by commas")
	topic := flag.String("topic", "ribstream.events", "the events topic")
	fromBeginning := flag.Bool("from-beginning", false, "begin with the oldest event")
	toEnd := flag.Bool("to-end", false, "stop when all is read that there is")
	flag.Parse()
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt)
	defer stop()
	if err := tap(ctx, strings.Split(*brokers, ","), *topic, *fromBeginning, *toEnd); err != nil && ctx.Err() == nil {
		log.Fatal(err)
	}
}

func tap(ctx context.Context, brokers []string, topic string, fromBeginning, toEnd bool) error {
	start := kgo.NewOffset().AtEnd()
	if fromBeginning {
		start = kgo.NewOffset().AtStart()
	}
	client, err := kgo.NewClient(
		kgo.SeedBrokers(brokers...), kgo.ConsumeTopics(topic), kgo.ConsumeResetOffset(start))
	if err != nil {
		return err
	}
	defer client.Close()
	ends, err := kadm.NewClient(client).ListEndOffsets(ctx, topic)
	if err != nil {
		return err
	}
	// Partitions with something left to read, and where each ends.
	left := map[int32]int64{}
	ends.Each(func(end kadm.ListedOffset) {
		if end.Offset > 0 {
			left[end.Partition] = end.Offset
		}
	})
	out := bufio.NewWriter(os.Stdout)
	defer out.Flush()
	for !toEnd || len(left) > 0 {
		fetches := client.PollFetches(ctx)
		if err := fetches.Err(); err != nil {
			return err
		}
		for record := range fetches.RecordsAll() {
			if header(record, "ribstream-event") == "route_update" {
				var event pb.Event
				if err := proto.Unmarshal(record.Value, &event); err != nil {
					return fmt.Errorf("partition %d, offset %d: %w", record.Partition, record.Offset, err)
				}
				print(out, &event)
			}
			if record.Offset+1 >= left[record.Partition] {
				delete(left, record.Partition)
			}
		}
		if err := out.Flush(); err != nil {
			return err
		}
	}
	return nil
}

// The header tells what is in a record before it is decoded.
func header(record *kgo.Record, name string) string {
	for _, header := range record.Headers {
		if header.Key == name {
			return string(header.Value)
		}
	}
	return ""
}

// print writes one line for each unicast, labelled or VPN route of a route update.
func print(out *bufio.Writer, event *pb.Event) {
	first := event.GetRouteUpdate()
	for _, update := range append([]*pb.RouteUpdate{first}, first.GetMore()...) {
		for _, routes := range update.GetAnnounced() {
			for _, route := range routes.GetPrefixes() {
				fmt.Fprintln(out, start(event, "+", route), address(routes.GetNextHop()), path(update.GetAttributes()))
			}
		}
		for _, routes := range update.GetWithdrawn() {
			for _, route := range routes.GetPrefixes() {
				fmt.Fprintln(out, start(event, "-", route))
			}
		}
	}
}

func start(event *pb.Event, sign string, route *pb.PrefixRoute) string {
	prefix := route.GetPrefix()
	return fmt.Sprintf("%d %s %s %s %s/%d", event.GetReceivedAt(), event.GetRouter(),
		address(event.GetPeer().GetAddress()), sign, address(prefix.GetAddress()), prefix.GetLength())
}

func address(octets []byte) string {
	if address, ok := netip.AddrFromSlice(octets); ok {
		return address.String()
	}
	return "-"
}

// path is the AS path as routers print it, sets in braces.
func path(attributes *pb.PathAttributes) string {
	var parts []string
	for _, segment := range attributes.GetAsPath().GetSegments() {
		var asns []string
		for _, asn := range segment.GetAsns() {
			asns = append(asns, strconv.FormatUint(uint64(asn), 10))
		}
		switch segment.GetType() {
		case 1:
			parts = append(parts, "{"+strings.Join(asns, ",")+"}")
		case 2:
			parts = append(parts, strings.Join(asns, " "))
		case 3:
			parts = append(parts, "("+strings.Join(asns, " ")+")")
		case 4:
			parts = append(parts, "["+strings.Join(asns, ",")+"]")
		}
	}
	return strings.Join(parts, " ")
}
