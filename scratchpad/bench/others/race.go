// net.Dialer in the benchmark `races`: reads a race a line, dials it, and writes what became of it.
//
// The resolver is Go's own (PreferGo), pointed at the scripted name server; its tries and waits are those of
// /etc/resolv.conf or Go's defaults. Which family comes first is by RFC 6724 and no option changes it.
package main

import (
	"bufio"
	"context"
	"encoding/json"
	"fmt"
	"net"
	"os"
	"sync"
	"time"
)

type race struct {
	Id   int
	Name string
	Port int
	Dns  int
}

type outcome struct {
	Id        int     `json:"id"`
	Connected bool    `json:"connected"`
	Millis    float64 `json:"millis"`
}

func dial(r race) outcome {
	server := fmt.Sprintf("127.0.0.1:%d", r.Dns)
	dialer := net.Dialer{Resolver: &net.Resolver{
		PreferGo: true,
		Dial: func(ctx context.Context, network, _ string) (net.Conn, error) {
			var plain net.Dialer
			return plain.DialContext(ctx, network, server)
		},
	}}
	begun := time.Now()
	// The dot keeps the machine's search list out.
	connection, err := dialer.Dial("tcp", fmt.Sprintf("%s.:%d", r.Name, r.Port))
	millis := float64(time.Since(begun).Microseconds()) / 1000
	if err == nil {
		connection.Close()
	}
	return outcome{r.Id, err == nil, millis}
}

func main() {
	var writing sync.Mutex
	lines := bufio.NewScanner(os.Stdin)
	for lines.Scan() {
		var r race
		if err := json.Unmarshal(lines.Bytes(), &r); err != nil {
			panic(err)
		}
		go func() {
			told, _ := json.Marshal(dial(r))
			writing.Lock()
			defer writing.Unlock()
			fmt.Println(string(told))
		}()
	}
}
