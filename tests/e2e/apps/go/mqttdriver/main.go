package main

import _ "github.com/eclipse/paho.mqtt.golang"

func main() {}
