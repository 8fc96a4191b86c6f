import fastnn as tf
X = tf.random.normal([1000, 10])
Y = tf.random.normal([1000, 1])
model = tf.keras.Sequential([tf.keras.layers.Dense(units=1, input_shape=[10], activation='sigmoid')])
model.compile(optimizer='sgd', loss='binary_crossentropy', metrics=['accuracy'])
model.fit(X, Y, epochs=100, batch_size=10)
print(model.history)
