// Usage: server PORT LOG
package main

import (
	"fmt"
	"net/http"
	"os"
)

func main() {
	log, err := os.OpenFile(os.Args[2], os.O_APPEND|os.O_WRONLY, 0)
	if err != nil {
		panic(err)
	}
	http.HandleFunc("/", func(w http.ResponseWriter, _ *http.Request) {
		fmt.Fprintf(log, "%d\n", os.Getpid())
		fmt.Fprintf(w, "%d\n", os.Getpid())
	})
	panic(http.ListenAndServe(":"+os.Args[1], nil))
}
