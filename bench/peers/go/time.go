// The daytime server of the textbook with the four bytes of RFC 868. Usage: time PORT, on 127.0.0.1.
package main

import (
	"encoding/binary"
	"fmt"
	"net"
	"os"
	"time"
)

func main() {
	tcpAddr, err := net.ResolveTCPAddr("tcp4", "127.0.0.1:"+os.Args[1])
	checkError(err)
	listener, err := net.ListenTCP("tcp", tcpAddr)
	checkError(err)
	for {
		conn, err := listener.Accept()
		if err != nil {
			continue
		}
		var seconds [4]byte
		binary.BigEndian.PutUint32(seconds[0:], uint32(time.Now().Unix()+2208988800))
		conn.Write(seconds[0:])
		conn.Close()
	}
}

func checkError(err error) {
	if err != nil {
		fmt.Fprintf(os.Stderr, "Fatal error: %s\n", err.Error())
		os.Exit(1)
	}
}
