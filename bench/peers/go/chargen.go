// A chargen server in the manner of the textbook: a goroutine for each client, which writes blocks of nearly 64 KiB.
// Usage: chargen PORT, on 127.0.0.1.
package main

import (
	"fmt"
	"net"
	"os"
)

func main() {
	tcpAddr, err := net.ResolveTCPAddr("tcp4", "127.0.0.1:"+os.Args[1])
	checkError(err)
	listener, err := net.ListenTCP("tcp", tcpAddr)
	checkError(err)
	block := characters()
	for {
		conn, err := listener.Accept()
		if err != nil {
			continue
		}
		go handleClient(conn, block)
	}
}

func handleClient(conn net.Conn, block []byte) {
	defer conn.Close()
	for {
		_, err := conn.Write(block)
		if err != nil {
			return
		}
	}
}

// The 95 lines of the pattern, nine times.
func characters() []byte {
	var block []byte
	for row := 0; row < 9*95; row++ {
		for column := 0; column < 72; column++ {
			block = append(block, byte(' '+(row+column)%95))
		}
		block = append(block, '\r', '\n')
	}
	return block
}

func checkError(err error) {
	if err != nil {
		fmt.Fprintf(os.Stderr, "Fatal error: %s\n", err.Error())
		os.Exit(1)
	}
}
